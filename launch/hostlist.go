package launch

import (
	"fmt"
	"strconv"
	"strings"
)

// maxHosts bounds what a short list can expand to.
const maxHosts = 1 << 16

// ExpandHosts writes out Slurm's compact list of hosts: gpu[01-03,07],login1 is
// gpu01, gpu02, gpu03, gpu07 and login1, in this order.
func ExpandHosts(list string) ([]string, error) {
	var hosts []string
	for _, pattern := range splitOutside(list) {
		if pattern == "" {
			return nil, fmt.Errorf("the list of hosts %q has an empty entry", list)
		}
		expanded, err := expandPattern(pattern)
		if err != nil {
			return nil, err
		}
		if len(hosts)+len(expanded) > maxHosts {
			return nil, fmt.Errorf("the list of hosts has more than %d entries", maxHosts)
		}
		hosts = append(hosts, expanded...)
	}
	return hosts, nil
}

// splitOutside cuts at the commas that stand in no brackets.
func splitOutside(list string) []string {
	if list == "" {
		return nil
	}
	var parts []string
	depth, start := 0, 0
	for i, c := range list {
		switch c {
		case '[':
			depth++
		case ']':
			depth--
		case ',':
			if depth == 0 {
				parts = append(parts, list[start:i])
				start = i + 1
			}
		}
	}
	return append(parts, list[start:])
}

// expandPattern expands the first brackets of a pattern, and what follows them.
func expandPattern(pattern string) ([]string, error) {
	open := strings.IndexByte(pattern, '[')
	if open < 0 {
		if strings.ContainsAny(pattern, "] \t/") {
			return nil, fmt.Errorf("%q is not the name of a host", pattern)
		}
		return []string{pattern}, nil
	}
	length := strings.IndexByte(pattern[open:], ']')
	if length < 0 {
		return nil, fmt.Errorf("in the list of hosts, %q lacks a closing bracket", pattern)
	}
	numbers, err := expandRanges(pattern[open+1 : open+length])
	if err != nil {
		return nil, err
	}
	tails, err := expandPattern(pattern[open+length+1:])
	if err != nil {
		return nil, err
	}
	if len(numbers)*len(tails) > maxHosts {
		return nil, fmt.Errorf("%q expands to more than %d hosts", pattern, maxHosts)
	}
	var hosts []string
	for _, number := range numbers {
		for _, tail := range tails {
			hosts = append(hosts, pattern[:open]+number+tail)
		}
	}
	return hosts, nil
}

// expandRanges writes out 01-03,07, keeping leading zeros.
func expandRanges(ranges string) ([]string, error) {
	var numbers []string
	for _, r := range strings.Split(ranges, ",") {
		low, high, isRange := strings.Cut(r, "-")
		if !isRange {
			high = low
		}
		first, err1 := strconv.ParseUint(low, 10, 32)
		last, err2 := strconv.ParseUint(high, 10, 32)
		if err1 != nil || err2 != nil || last < first || last-first >= maxHosts {
			return nil, fmt.Errorf("in the list of hosts, [%s] is not a list of numbers and ranges such as 01-03,07", ranges)
		}
		for n := first; n <= last; n++ {
			numbers = append(numbers, fmt.Sprintf("%0*d", len(low), n))
		}
		if len(numbers) > maxHosts {
			return nil, fmt.Errorf("in the list of hosts, [%s] has more than %d numbers", ranges, maxHosts)
		}
	}
	return numbers, nil
}
