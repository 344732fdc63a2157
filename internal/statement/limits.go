package statement

// Every input is bounded; each limit says where it comes from.
const (
	// maxRecord bounds a record. The widest canonical row, two texts and twenty identifiers at their own limits with
	// every quote doubled, is 10 kB; a hundred times that leaves room for columns we ignore and still bounds memory.
	maxRecord = 1 << 20

	// maxRecordLines bounds the line breaks inside the quoted cells of one record; an address or an error text of an
	// acquirer has a handful. Beyond it a quote was left open.
	maxRecordLines = 1000

	// maxColumns bounds a header: ten times the widest statement known to us (about 50 columns).
	maxColumns = 512

	// maxPreamble bounds the lines before the header; the longest banner of a known export has 25.
	maxPreamble = 256

	// maxSheets bounds the sheets of a workbook that are looked at: one for each day of a month, and a cover.
	maxSheets = 40

	// maxTrailer and maxHashLine bound the '#' lines that are held back until it is known whether rows follow: three
	// totals and some remarks. An earlier or longer line is data.
	maxTrailer  = 64
	maxHashLine = 4096

	// maxKey bounds the key of a metadata line; "status_time" is the longest we know.
	maxKey = 64

	// maxIdentifier: the longest identifier of a known source is 64 characters (UnionPay's and Alipay's order ids).
	maxIdentifier = 128
	// maxText: WeChat's and Alipay's messages are at most 256 characters, three bytes each.
	maxText = 1024

	// maxRaw bounds what is kept of a rejected line, maxRawOversized of one that is longer than a record may be, and
	// maxValue what is kept of a rejected cell.
	maxRaw          = 2000
	maxRawOversized = 200
	maxValue        = 200
)
