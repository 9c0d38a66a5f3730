package simnet

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"syscall"

	"github.com/hashicorp/memberlist"
)

// Process is one end of many edges. It implements internal/network's Network.
type Process struct {
	net    *Network
	name   string
	ip     string
	dead   bool
	frozen bool

	port      int // that was given last
	listeners map[string]*listener
	conns     []*conn
	gossip    *packets
}

func newProcess(n *Network, name, ip string) *Process {
	return &Process{net: n, name: name, ip: ip, port: 7000, listeners: map[string]*listener{}}
}

// Crash ends the process. Ending one that has ended does nothing.
func (p *Process) Crash() {
	p.net.mu.Lock()
	defer p.net.mu.Unlock()
	if p.dead {
		return
	}
	p.dead, p.frozen = true, false
	delete(p.net.living, p.ip)
	for _, l := range p.listeners {
		l.closed = true
	}
	for _, c := range slices.Clone(p.conns) {
		c.end(syscall.ECONNRESET)
	}
	p.net.stir()
}

// Freeze has the process neither read nor write.
func (p *Process) Freeze() { p.freeze(true) }

// Thaw undoes Freeze.
func (p *Process) Thaw() { p.freeze(false) }

func (p *Process) freeze(frozen bool) {
	p.net.mu.Lock()
	defer p.net.mu.Unlock()
	p.frozen = frozen && !p.dead
	p.net.stir()
}

// forget drops a connection that is closed.
func (p *Process) forget(c *conn) {
	if i := slices.Index(p.conns, c); i >= 0 {
		p.conns = slices.Delete(p.conns, i, i+1)
	}
}

// address is an address of the simulation, so that nobody takes it for one of the
// host's network.
type address string

func (address) Network() string  { return "simulation" }
func (a address) String() string { return string(a) }

// Listen listens on an address of this process.
func (p *Process) Listen(at string) (net.Listener, error) {
	host, port, err := net.SplitHostPort(at)
	if err != nil {
		return nil, err
	}
	p.net.mu.Lock()
	defer p.net.mu.Unlock()
	if port == "0" {
		p.port++
		port = strconv.Itoa(p.port)
	}
	at = net.JoinHostPort(host, port)
	switch {
	case p.dead:
		return nil, syscall.ENETDOWN
	case host != p.ip:
		return nil, fmt.Errorf("listen on %s: %w", at, syscall.EADDRNOTAVAIL)
	case p.listeners[at] != nil && !p.listeners[at].closed:
		return nil, fmt.Errorf("listen on %s: %w", at, syscall.EADDRINUSE)
	}
	l := &listener{process: p, address: address(at)}
	p.listeners[at] = l
	return l, nil
}

// Dial connects to a listener. It takes the way there and back, and for as long as
// the edge is cut, or a process is frozen.
func (p *Process) Dial(ctx context.Context, at string) (net.Conn, error) {
	defer context.AfterFunc(ctx, p.net.wake)()
	host, _, err := net.SplitHostPort(at)
	if err != nil {
		return nil, err
	}
	p.net.mu.Lock()
	defer p.net.mu.Unlock()
	if err := p.travel(ctx, host); err != nil {
		return nil, fmt.Errorf("dial %s: %w", at, err)
	}
	peer := p.net.living[host]
	if peer == nil || peer.listeners[at] == nil || peer.listeners[at].closed {
		return nil, fmt.Errorf("dial %s: %w", at, syscall.ECONNREFUSED)
	}
	p.port++
	here, there := pair(p, address(net.JoinHostPort(p.ip, strconv.Itoa(p.port))), peer, address(at))
	peer.listeners[at].waiting = append(peer.listeners[at].waiting, there)
	p.net.changed.Broadcast()
	return here, nil
}

// travel waits until a packet has gone to a host and back.
func (p *Process) travel(ctx context.Context, host string) error {
	for range 2 {
		peer := p.net.living[host]
		if peer == nil {
			return syscall.ECONNREFUSED
		}
		due := now().Add(p.net.delay(p, peer))
		for !p.dead && ctx.Err() == nil && !peer.dead && (now().Before(due) || !p.net.open(p, peer)) {
			p.net.waitUntil(due)
		}
		switch {
		case p.dead:
			return syscall.ENETDOWN
		case ctx.Err() != nil:
			return context.Cause(ctx)
		}
	}
	return nil
}

// Gossip is what memberlist sends and receives through. A process has one.
func (p *Process) Gossip() memberlist.Transport {
	p.net.mu.Lock()
	defer p.net.mu.Unlock()
	if p.gossip == nil {
		p.gossip = newPackets(p)
	}
	return p.gossip
}
