// Package match decides outcomes: it finds what stands for every key, matches orders with settlement lines in the
// ordered passes of the contract, and stores one verdict for each order and each line that no order claims; plain matches,
// which follow from the facts, are told together instead (join.go, plain.go), and orders that have no line, due or not, are left
// alone until something happens to them (waiting.go). All of that is set-based SQL over the facts; which cause explains a verdict
// is not decided here.
//
// Beside the orders it ties the money: payouts with their lines (payout.go), with the bank's account statements (bank.go,
// in Go, since it searches for sums among few lines), and fees with the contracts (fees.go).
//
// A decision is a pure function of the facts, the rules and the as-of instant: not of the order in which files came,
// nor of earlier verdicts. Earlier verdicts only tell which keys need not be looked at again.
//
// The statements work on these temporary tables, dropped with the transaction:
//
//	plain_now     plain matches among the fresh rows, told together
//	without_order fresh lines without a fresh order, by their keys
//	known_key     fresh orders of which earlier files told
//	arrived       waiting orders that such a line makes plain matches of
//	waiting       fresh orders that begin to wait
//	lineless      keys of fresh orders that have no fresh line, with the place of the row where there is one
//	dirty         keys to decide one by one
//	apart         those of them that the fresh rows alone do not decide
//	payout_touched  payouts that undecided files tell of, with their chains of re-issues
//	payout_now    the newest version of each of these, at the end of its chain; kept in payout_state
//	pos_now, line_now  all rows of the dirty keys; at the end pos_now has also the rows that orders at rest are explained by
//	slow_key      keys with several rows: what stands must be found out
//	pos_said, line_said  what several rows of such a key say together
//	wo, wl        the standing order and the standing settlement lines of every dirty key
//	due           due date of every acquirer × business date × settle cycle
//	candidate     pairs that a pass beyond the key found
//	pair          those of them that are one to one
//	loose         lines that no order of their key is near enough to have
//	sibling       an order and a line that differ in the merchant only
//	final         days whose orders at rest are explained for good; asleep where nothing is explained beside them either
package match
