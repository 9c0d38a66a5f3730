package simnet

import (
	"fmt"
	"sync"
	"time"
)

// Network is the edges and processes. One lock guards all of it: in fake time
// nothing is gained by more.
type Network struct {
	mu      sync.Mutex
	changed *sync.Cond // an edge, a process, or what waits to be accepted
	latency func(from, to string) time.Duration

	living map[string]*Process // by IP
	edges  map[[2]string]*edge // by names, in order
}

// edge is what lies between two processes, which may be dead and started again.
type edge struct {
	cut   bool
	extra time.Duration
}

// New returns a network without processes. Latency is how long bytes take from one
// process to another, by their names.
func New(latency func(from, to string) time.Duration) *Network {
	n := &Network{latency: latency, living: map[string]*Process{}, edges: map[[2]string]*edge{}}
	n.changed = sync.NewCond(&n.mu)
	return n
}

// Start starts a process. The one that had the IP before must have crashed or
// ended.
func (n *Network) Start(name, ip string) *Process {
	n.mu.Lock()
	defer n.mu.Unlock()
	if other := n.living[ip]; other != nil {
		panic(fmt.Sprintf("simnet: %s cannot have %s, which is %s's", name, ip, other.name))
	}
	p := newProcess(n, name, ip)
	n.living[ip] = p
	return p
}

// Cut has nothing cross the edge between two processes, named.
func (n *Network) Cut(a, b string) { n.change(a, b, func(e *edge) { e.cut = true }) }

// Heal undoes Cut.
func (n *Network) Heal(a, b string) { n.change(a, b, func(e *edge) { e.cut = false }) }

// Slow adds to the latency of the edge between two processes, both ways; 0 ends it.
func (n *Network) Slow(a, b string, extra time.Duration) {
	n.change(a, b, func(e *edge) { e.extra = extra })
}

func (n *Network) change(a, b string, what func(*edge)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	what(n.edge(a, b))
	n.stir()
}

// stir has everybody who waits for anything look again.
func (n *Network) stir() {
	for _, p := range n.living {
		for _, c := range p.conns {
			c.in.moved.Broadcast()
			c.out.moved.Broadcast()
		}
	}
	n.changed.Broadcast()
}

func (n *Network) edge(a, b string) *edge {
	key := [2]string{min(a, b), max(a, b)}
	e := n.edges[key]
	if e == nil {
		e = new(edge)
		n.edges[key] = e
	}
	return e
}

// open reports whether bytes cross from one process to another now.
func (n *Network) open(from, to *Process) bool {
	return !from.frozen && !to.frozen && (from == to || !n.edge(from.name, to.name).cut)
}

func (n *Network) delay(from, to *Process) time.Duration {
	if from == to {
		return n.latency(from.name, to.name)
	}
	return n.latency(from.name, to.name) + n.edge(from.name, to.name).extra
}
