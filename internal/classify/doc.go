// Package classify explains flagged verdicts: why the money has not arrived, on what evidence, how sure that is, and
// what to do next. It reads the facts and the verdicts of the run's transaction and writes explanations and incidents.
// Outcomes and money are decided before it and never changed here.
//
// Hard facts come first (the file register, statuses, codes, payout states), then cohorts, each found once per run: a
// late batch, an outage of a channel, a frozen merchant, a faulty terminal. What nothing explains is a lone straggler,
// and says so.
package classify
