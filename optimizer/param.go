package optimizer

import (
	"fmt"
	"slices"
)

// Kind decides how a parameter is updated.
type Kind uint8

const (
	Hidden Kind = iota // a hidden matrix: Muon's, where Muon is chosen
	Table              // embedding or head: AdamW's, with weight decay
	Gain               // a norm's gain: AdamW's, without
)

// Param is one parameter within the flat buffers: Rows*Cols elements, row by row,
// from element Offset on.
type Param struct {
	Name       string
	Offset     int
	Rows, Cols int
	Kind       Kind
	// Heads is the number of equal blocks of rows that a q, r, k or v projection
	// consists of; 0 or 1 for anything else.
	Heads int
}

// Len is the number of elements.
func (p Param) Len() int { return p.Rows * p.Cols }

func (p Param) end() int { return p.Offset + p.Len() }

// rule is how a parameter is updated under a config.
type rule uint8

const (
	muonRule rule = iota
	adamRule
	adamPlainRule // without weight decay
)

func (c Config) rule(p Param) rule {
	switch {
	case p.Kind == Hidden && c.Name == "muon":
		return muonRule
	case p.Kind == Gain:
		return adamPlainRule
	}
	return adamRule
}

// blocks is how many matrices a parameter of Muon's is orthogonalised as.
func (c Config) blocks(p Param) int {
	if c.PerHead && p.Heads > 1 {
		return p.Heads
	}
	return 1
}

// run is a stretch of neighbouring parameters under one rule, [lo, hi) in the flat
// buffers. Gaps between them are updated along: they are zero and stay zero. Its
// state begins at element state of its kind's state buffers.
type run struct {
	rule   rule
	lo, hi int
	state  int
}

func (r run) len() int { return r.hi - r.lo }

// split groups the parameters into runs, and tells how many elements of momentum
// (Muon) and of moments (AdamW) they need.
func split(c Config, params []Param) (runs []run, muon, adam int) {
	for _, p := range params {
		rule := c.rule(p)
		if n := len(runs); n > 0 && runs[n-1].rule == rule {
			runs[n-1].hi = p.end()
		} else {
			runs = append(runs, run{rule: rule, lo: p.Offset, hi: p.end()})
		}
	}
	for i := range runs {
		total := &adam
		if runs[i].rule == muonRule {
			total = &muon
		}
		runs[i].state = *total
		*total += roundUp(runs[i].len())
	}
	return runs, muon, adam
}

// align is what offsets are rounded up to, in elements.
const align = 16

func roundUp(n int) int { return (n + align - 1) / align * align }

// checkParams says whether the parameters lie one after the other in a buffer of
// size elements.
func checkParams(params []Param, size int) error {
	at := 0
	for _, p := range params {
		switch {
		case p.Offset < at || p.Rows < 1 || p.Cols < 1 || p.end() > size:
			return fmt.Errorf("optimizer: parameter %s, %dx%d at %d, does not lie between %d and %d",
				p.Name, p.Rows, p.Cols, p.Offset, at, size)
		case p.Heads > 1 && p.Rows%p.Heads != 0:
			return fmt.Errorf("optimizer: the %d rows of parameter %s are not %d heads", p.Rows, p.Name, p.Heads)
		}
		at = p.end()
	}
	return nil
}

// stateOffset is where a parameter's state begins.
func stateOffset(runs []run, p Param) int {
	i := slices.IndexFunc(runs, func(r run) bool { return p.Offset >= r.lo && p.Offset < r.hi })
	return runs[i].state + p.Offset - runs[i].lo
}
