package mem

import (
	"time"

	"parallax/collective"
)

// Kind is what goes wrong.
type Kind uint8

const (
	Fail    Kind = iota // the rank dies: both its links break
	Stall               // the rank stops: its links stay up and nothing moves
	Delay               // the frame leaves after Fault.Delay
	Corrupt             // Fault.Mutate changes the encoded header
	Drop                // the frame is lost
)

func (k Kind) String() string {
	return [...]string{"fail", "stall", "delay", "corrupt", "drop"}[k]
}

// Fault happens once, when Rank sends its first data frame of the given step,
// phase and bucket to the next rank.
type Fault struct {
	Kind   Kind
	Rank   int
	Step   int64
	Phase  collective.Phase
	Bucket int
	Delay  time.Duration
	Mutate func(header []byte)
}

func (f *Fault) matches(h *collective.Header) bool {
	return h.Kind == collective.Data && int64(h.Step) == f.Step && h.Phase == f.Phase && int(h.Bucket)-1 == f.Bucket
}

// due removes and returns the first fault that is to happen at this frame.
func (n *Node) due(h *collective.Header) (Fault, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for i := range n.faults {
		if f := n.faults[i]; f.matches(h) {
			n.faults = append(n.faults[:i], n.faults[i+1:]...)
			return f, true
		}
	}
	return Fault{}, false
}

// apply makes the faults due at this frame happen, and reports whether the
// frame is still to be sent.
func (n *Node) apply(f *collective.Frame, p *packet) bool {
	fault, ok := n.due(&f.Header)
	if !ok {
		return true
	}
	switch fault.Kind {
	case Fail:
		n.Kill()
	case Stall:
		n.Stall()
	case Delay:
		time.Sleep(fault.Delay)
	case Corrupt:
		header := p.header // a copy, so that packets need no heap where nothing goes wrong
		fault.Mutate(header[:])
		p.header = header
	case Drop:
		return false
	}
	return true
}
