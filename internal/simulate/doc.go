// Package simulate writes labelled worlds: the POS logs, settlement files and payout files of a merchant group over
// some nights, with faults injected, and beside each night the truth about every order as of that night.
// It decides nothing about real data and reads none; it prints nothing, and the only clock and the only chance in it
// are the start date and the seed of its Options, so the same Options give the same bytes on any machine.
//
// # How a world is made
//
// An order is a pure function of (seed, day, number): what it is (order.go), what the payer's side made of it (base.go),
// what the faults of the world did to it (fault.go and its neighbours), and the rows that follow from that. Nothing
// about an order needs to be kept: a refund finds its sale by making the sale again, and ten million orders a night
// cost no more memory than ten. The only state that grows is one cell per merchant and payout date.
//
// The truth does not come from the labels of the faults. It is worked out by judge.go from the rows that have arrived
// by a night, in the order of precedence of the input contract; the labels only name the cause of what the facts
// already say, so a fault cannot claim an outcome that its rows do not show.
//
// An incident is named on every order that its fault has touched, matched and pending ones included, as long as the
// facts of the night give the order no other cause.
package simulate
