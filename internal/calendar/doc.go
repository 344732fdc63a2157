// Package calendar says which days are working days in mainland China, which business date an instant belongs to and
// by which day an order's money must have been reported. It computes from its arguments alone: no SQL and no clock.
//
// # The file of days
//
// A week's Monday to Friday are working days unless the State Council's yearly notice says otherwise; what it says is
// listed in a CSV file with the header date,kind,name,notice:
//
//	date    YYYY-MM-DD; each day once, years 2000 to 2099
//	kind    off      a day off (weekends inside a holiday included; ordinary weekends need not be listed)
//	        working  a make-up working day (调休), usually on a weekend
//	name    the holiday it belongs to, e.g. 春节
//	notice  where it is announced: the address of the State Council's notice, several separated by a blank
//
// cn-days.csv, embedded, holds 2020 to 2026. It comes from the notices named in its last column (for 2026:
// https://www.gov.cn/zhengce/zhengceku/202511/content_7047091.htm) by way of the holiday-cn data set, whose licence is
// in LICENSE.holiday-cn.txt. The notice for a year appears in the November before it; until a file with the year is
// merged, every question that needs a day of that year is answered by MissingYearError and not by a guess.
//
// A notice may reach back into the December before its year (2023's declares 2022-12-31 off), so a file for one year
// can hold December rows of the year before. Such rows alone do not make that year loaded, and merging them keeps what
// is known of that year: see Loaded and Merge.
package calendar
