package ingest

import (
	"cmp"
	"slices"

	"github.com/posrecon/posrecon/internal/recon"
)

// maxHabits bounds what is counted of a log's habits: a hundred acquirers on ten business dates, where a merchant group has ten and
// a log two. What has more is damaged, or a history of years, and its rows are counted when they are asked for.
const maxHabits = 1000

// habitOf is whose logs' habit is counted: an acquirer's on a business date.
type habitOf struct {
	acquirer string
	date     recon.Date
}

// habit counts an acquirer's sales that went well on a business date, and with how many of them the log gives a callback and the
// channel's id.
type habit struct {
	Acquirer string `json:"acquirer"`
	Date     string `json:"date"`
	Sales    int64  `json:"sales"`
	Heard    int64  `json:"heard"`
	Numbered int64  `json:"numbered"`
}

// habits are those of one log.
type habits struct {
	of   map[habitOf]*habit
	last habitOf // of the row before, and
	at   *habit  // its count
}

// see counts a row of a business date.
func (h *habits) see(r *recon.POSRow, date recon.Date) {
	if r.Status != recon.POSSuccess || r.Type != recon.TypeSale || len(h.of) > maxHabits {
		return
	}
	if of := (habitOf{r.Acquirer, date}); h.at == nil || of != h.last {
		if h.of == nil {
			h.of = map[habitOf]*habit{}
		}
		if h.of[of] == nil {
			h.of[of] = &habit{Acquirer: of.acquirer, Date: of.date.String()}
		}
		h.last, h.at = of, h.of[of]
	}
	h.at.Sales++
	if !r.CallbackTime.IsZero() {
		h.at.Heard++
	}
	if r.ChannelTxnID != "" {
		h.at.Numbered++
	}
}

// list is what was counted, in order, as a parameter: NULL where it is too much to tell.
func (h *habits) list() any {
	if len(h.of) > maxHabits {
		return nil
	}
	list := []habit{}
	for _, one := range h.of {
		list = append(list, *one)
	}
	slices.SortFunc(list, func(a, b habit) int { return cmp.Or(cmp.Compare(a.Acquirer, b.Acquirer), cmp.Compare(a.Date, b.Date)) })
	return list
}
