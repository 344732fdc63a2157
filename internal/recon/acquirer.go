package recon

import (
	"time"

	"github.com/shopspring/decimal"
)

// Acquirer is what must be known of an acquirer to read its files and to judge when its money is due.
type Acquirer struct {
	ID               string
	CutOff           time.Duration              // local time from which an order counts to the next business date; 24h means none
	Deadline         time.Duration              // local time on the due date by which its settlement file is expected
	Cycle            Cycle                      // for orders whose POS row names none
	Tolerance        decimal.Decimal            // yuan by which a settled amount may differ and still match; 0 unless configured
	Contact          string                     // whom finance calls
	FeeRate          decimal.NullDecimal        // contracted fee as a fraction of the amount: 0.0038
	MerchantFeeRates map[string]decimal.Decimal // of merchants whose contract has another
	FeePerBatch      bool                       // the fee is rounded once over a day's sum and not per line
	BankNames        []string                   // by which it pays on account statements, beside BankNames
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
	"lichu":    "Lichu",
	"yeepay":   "YeePay",
	"huifu":    "Huifu",
	"fuiou":    "Fuiou",
}

// BankNames are the names, or distinctive parts of them, by which acquirers and wallets pay on account statements: those of
// the licensed companies, and the pinyin that SWIFT messages have.
var BankNames = map[string][]string{
	"lakala":   {"拉卡拉", "lakala"},
	"chinaums": {"银联商务", "chinaums"},
	"shengpay": {"盛付通", "shengpay"},
	"wechat":   {"财付通", "微信支付", "tenpay"},
	"alipay":   {"支付宝", "alipay"},
	"unionpay": {"中国银联", "银联入账", "unionpay"},
	"allinpay": {"通联支付", "allinpay"},
	"leshua":   {"乐刷", "移卡", "leshua"},
	"lichu":    {"利楚", "扫呗"},
	"yeepay":   {"易宝", "yeepay"},
	"huifu":    {"汇付", "huifu"},
	"fuiou":    {"富友", "fuiou"},
}
