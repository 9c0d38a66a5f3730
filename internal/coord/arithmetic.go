package coord

import (
	"fmt"
	"slices"
	"strings"
)

// warnOfArithmetics says once for each mixture when the ranks do not compute alike:
// then even sum-exact's bits depend on who computes what.
func (c *Core) warnOfArithmetics() {
	mixture := mixture(c.ranks)
	if mixture == c.mixture {
		return
	}
	c.mixture = mixture
	if mixture != "" {
		c.notice(nil, true, "the nodes' arithmetic differs (%s), so the bits of the result depend on which of them computes what; "+
			"on CPUs, start all nodes with PARALLAX_CPU=avx512 or another set that all have", mixture)
	}
}

// mixture lists who computes with what, "" where all do with the same.
func mixture(ranks []*node) string {
	var kinds []string
	who := map[string][]string{}
	for _, n := range ranks {
		a := n.hello.Arithmetic
		if !slices.Contains(kinds, a) {
			kinds = append(kinds, a)
		}
		who[a] = append(who[a], n.name())
	}
	if len(kinds) < 2 {
		return ""
	}
	for i, a := range kinds {
		kinds[i] = fmt.Sprintf("%s: %s", list(who[a]), a)
	}
	return strings.Join(kinds, "; ")
}
