package corpus

import "fmt"

// Progress says what Prepare is doing.
type Progress struct {
	Doing       string // "tokenising", "waiting for process 712, which tokenises the same data"
	Done, Total int64  // bytes of text; Total is 0 where there is nothing to count
}

// String is the progress for people, such as "tokenising 41 of 72 MB".
func (p Progress) String() string {
	if p.Total == 0 {
		return p.Doing
	}
	return fmt.Sprintf("%s %.0f of %.0f MB", p.Doing, float64(p.Done)/1e6, float64(p.Total)/1e6)
}
