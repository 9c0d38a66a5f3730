package record

import (
	"crypto/rand"
	"fmt"
	"time"
)

// NewRunID names a run by its start, in UTC, and four random hexadecimal digits:
// 20261123-194946-7f3a. Ids sort by time.
func NewRunID(started time.Time) string {
	var random [2]byte
	rand.Read(random[:]) // never fails
	return fmt.Sprintf("%s-%x", started.UTC().Format("20060102-150405"), random)
}
