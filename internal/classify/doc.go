// Package classify explains flagged verdicts: the likeliest cause with evidence for and against it, a confidence, the incident
// that it belongs to, and the next step. It must follow match within the same transaction, and decides no outcome.
//
// # How a cause is found
//
// Each sub-cause has a rate, how many orders it takes, and leaves evidence behind: a value in each family (what the line says,
// its payout, their reason, the POS status, code, callback, channel transaction id) with a probability that the weights file
// states. The posterior of a sub-cause is proportional to its rate times the probabilities of what the order shows. A family
// that an order's log does not carry is left out: missing evidence weighs nothing.
//
// What many orders share is found once per run and changes the rates of the orders that share it (Rules for each are in the
// file named): the file register and short files (register, shortfile), how late lines come (lateness), late batches (batch),
// outages (channel), faults of terminals (terminal), runs of merchants (merchant), payees that wait together (payee), and lines
// without an order beside orders without a line (twin). Each cohort has a probability of its own and leaves the order's own
// merchant out of what it is compared with.
//
// Weights are in decibans, ten times the decimal logarithm of the odds of the sub-cause that is stated against the runner-up of
// another cause.
//
// Every flagged verdict is explained on every run, but for orders at rest whose explanations are final (package match says which are);
// what would be said again is not written again.
package classify
