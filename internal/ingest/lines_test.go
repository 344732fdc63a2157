package ingest_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/posrecon/posrecon/internal/ingest"
	"github.com/posrecon/posrecon/internal/profile"
)

// Records that share a physical line are stored side by side, each under a line of its own: in a document of one line that is
// the record's number.
func TestRecordsOfOneLine(t *testing.T) {
	t.Parallel()
	const camt = `<?xml version="1.0"?><Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.02"><BkToCstmrStmt><Stmt><Acct><Id><Othr><Id>6225000000000001</Id></Othr></Id></Acct>` +
		`<Ntry><Amt Ccy="CNY">100.00</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts>BOOK</Sts><BookgDt><Dt>2026-03-06</Dt></BookgDt><NtryDtls>` +
		`<TxDtls><AmtDtls><TxAmt><Amt Ccy="CNY">70.00</Amt></TxAmt></AmtDtls></TxDtls><TxDtls><AmtDtls><TxAmt><Amt Ccy="CNY">30.00</Amt></TxAmt></AmtDtls></TxDtls>` +
		`</NtryDtls></Ntry></Stmt></BkToCstmrStmt></Document>`
	for _, test := range []struct {
		why, name, text, profile, table string
		want                            []string
		rejected                        []string
	}{
		{why: "a booking of two transactions", name: "c.xml", text: camt, table: "bank_row", want: []string{"1 70.00", "2 30.00"}},
		{why: "two versions of one payout", name: "p.json", table: "payout_row",
			profile: "name: mine\nkind: payout\nacquirer: lakala\nfile: {layout: json}\nmatch: {columns: [id, mch, amt]}\nfields:\n  payout_id: id\n  merchant_id: mch\n  amount: amt\n  payout_date: day\n  status: st\n",
			text:    `[{"id":"P1","mch":"M1","amt":"5.00","day":"2026-03-05","st":"PROCESSING"},{"id":"P1","mch":"M1","amt":"5.00","day":"2026-03-05","st":"PAID"}]`,
			want:    []string{"1 5.00", "2 5.00"}},
		{why: "two rows that cannot be read, between others", name: "s.json", table: "settlement_row", profile: jsonProfile,
			text:     `[{"no":"A1","amt":"1.00","st":"OK"},{"no":"A2","amt":"x","st":"OK"},{"no":"A3","amt":"3.00","st":"OK"},{"no":"A4","amt":"y","st":"OK"}]`,
			want:     []string{"1 1.00", "3 3.00"},
			rejected: []string{`2 amt "x": not an amount such as 1234.50`, `4 amt "y": not an amount such as 1234.50`}},
		{why: "with line breaks a record has its physical line", name: "t.json", table: "settlement_row", profile: jsonProfile,
			text: "[\n{\"no\":\"A1\",\"amt\":\"1.00\",\"st\":\"OK\"}, {\"no\":\"A2\",\"amt\":\"2.00\",\"st\":\"OK\"},\n\n\n{\"no\":\"A3\",\"amt\":\"3.00\",\"st\":\"OK\"}]",
			want: []string{"2 1.00", "3 2.00", "5 3.00"}},
	} {
		in := newInbox(t)
		if test.profile != "" {
			in.opt.Profiles = []*profile.Profile{parseProfile(t, test.profile)}
		}
		in.write(t, test.name, test.text)
		if f := in.load(t)[test.name]; f.State != ingest.Loaded {
			t.Errorf("%s: %s: %s", test.why, f.State, f.Reason)
		}
		if diff := cmp.Diff(test.want, in.query(t, `SELECT line || ' ' || amount FROM `+test.table+` ORDER BY line`)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.why, diff)
		}
		if diff := cmp.Diff(strings.Join(test.rejected, "\n"), strings.Join(in.rejected(t, test.name), "\n")); diff != "" {
			t.Errorf("%s: rejected (-want +got):\n%s", test.why, diff)
		}
	}
}

const jsonProfile = `name: mine
kind: settlement
acquirer: lakala
file: {layout: json}
match: {columns: [no, amt, st]}
fields:
  order_id: no
  merchant_id: {value: M1}
  amount: amt
  settle_date: {value: "2026-03-05"}
  status: {column: st, map: {OK: SETTLED}}
`

// A corrected profile reads the records again that were rejected, and no others, where all stand on one line.
func TestRereadOneLine(t *testing.T) {
	t.Parallel()
	in := newInbox(t)
	in.write(t, "s.json", `[{"no":"A1","amt":"1.00","st":"OK"},{"no":"A2","amt":"2.00","st":"FROZEN"},{"no":"A3","amt":"3.00","st":"OK"},{"no":"A4","amt":"4.00","st":"?"},{"no":"A5","amt":"5.00","st":"FROZEN"}]`)
	in.opt.Profiles = []*profile.Profile{parseProfile(t, jsonProfile)}
	if f := in.load(t)["s.json"]; f.Rows != 2 || f.Rejected != 3 {
		t.Fatalf("first: %+v", f)
	}
	in.opt.Profiles = []*profile.Profile{parseProfile(t, strings.Replace(jsonProfile, "OK: SETTLED", "OK: SETTLED, FROZEN: HELD", 1))}
	if f := in.load(t)["s.json"]; f.Rows != 2 || f.Rejected != 1 {
		t.Fatalf("again: %+v", f)
	}
	if diff := cmp.Diff([]string{"1 A1", "2 A2", "3 A3", "5 A5"}, in.query(t, `SELECT line || ' ' || order_id FROM settlement_row ORDER BY line`)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
