package config

import (
	"fmt"
	"strings"
)

// Nearest is the known name that a mistyped one may have meant; "" if none is near:
// the longer the name (its last part, where it is dotted), the more slips are
// forgiven. Where none is near, it is the key that alone begins in the same way.
func Nearest(name string, known []string) string {
	best, distance := "", len(name[strings.LastIndexByte(name, '.')+1:])/3+2
	for _, k := range known {
		if d := min(editDistance(name, k), suffixDistance(name, k)); d < distance {
			best, distance = k, d
		}
	}
	if best == "" {
		return sameBeginning(name, known)
	}
	return best
}

// sameBeginning is the only key of a dotted name's section that begins with the same
// three letters as the name does there; "" if there is none, or a second.
func sameBeginning(name string, known []string) string {
	const letters = 3
	dot := strings.LastIndexByte(name, '.')
	if dot < 0 || len(name) < dot+1+letters {
		return ""
	}
	found := ""
	for _, k := range known {
		if !strings.HasPrefix(k, name[:dot+1+letters]) {
			continue
		}
		if found != "" {
			return ""
		}
		found = k
	}
	return found
}

// didYouMean is the end of a sentence about an unknown name.
func didYouMean(name string, known []string) string {
	best := Nearest(name, known)
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %s?", best)
}

// suffixDistance compares name with the last part of a dotted key, for those who
// forget the section. It counts one edit for the section itself.
func suffixDistance(name, key string) int {
	_, last, dotted := strings.Cut(key, ".")
	if !dotted || strings.Contains(name, ".") {
		return len(name) + len(key)
	}
	return 1 + editDistance(name, last)
}

// editDistance counts the insertions, deletions, substitutions, and swaps of two
// neighbours, that turn a into b (optimal string alignment).
func editDistance(a, b string) int {
	var before []int // the row for two letters of a fewer
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		next := make([]int, len(b)+1)
		next[0] = i + 1
		for j := range len(b) {
			substitute := row[j]
			if a[i] != b[j] {
				substitute++
			}
			next[j+1] = min(substitute, next[j]+1, row[j+1]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				next[j+1] = min(next[j+1], before[j-1]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}
