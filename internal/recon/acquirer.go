package recon

import (
	"time"

	"github.com/shopspring/decimal"
)

// Acquirer is what must be known of an acquirer to read its files and to judge when its money is due.
type Acquirer struct {
	ID        string
	CutOff    time.Duration   // local time from which an order counts to the next business date; 24h means none
	Deadline  time.Duration   // local time on the due date by which its settlement file is expected
	Cycle     Cycle           // for orders whose POS row names none
	Tolerance decimal.Decimal // yuan by which a settled amount may differ and still match; 0 unless configured
	Contact   string          // whom finance calls
}

// DefaultAcquirer returns the contract's defaults for an acquirer without configuration: cut-off 23:00, file deadline
// 10:00, T+1, amounts compared exactly.
func DefaultAcquirer(id string) Acquirer {
	return Acquirer{ID: id, CutOff: 23 * time.Hour, Deadline: 10 * time.Hour, Cycle: TPlus(1)}
}

// Acquirers is a set of configured acquirers by id.
type Acquirers map[string]Acquirer

// Get returns the acquirer's rules, the defaults where none are configured.
func (a Acquirers) Get(id string) Acquirer {
	if acq, ok := a[id]; ok {
		return acq
	}
	return DefaultAcquirer(id)
}

// KnownAcquirers are the acquirers, wallets and schemes whose folder under the inbox says whose file it is, each with
// the service line that its public pages name. 95016 Lakala, 95534 ChinaUMS, 95017 WeChat Pay, 95188 Alipay, 95516
// UnionPay; the others' lines are in the merchant's contract.
var KnownAcquirers = map[string]string{
	"lakala":   "Lakala 95016",
	"chinaums": "ChinaUMS 95534",
	"shengpay": "Shengpay",
	"wechat":   "WeChat Pay 95017",
	"alipay":   "Alipay 95188",
	"unionpay": "UnionPay 95516",
	"allinpay": "Allinpay",
	"leshua":   "Leshua",
	"yeepay":   "YeePay",
	"huifu":    "Huifu",
	"fuiou":    "Fuiou",
}
