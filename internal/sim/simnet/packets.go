package simnet

import (
	"context"
	"net"
	"strconv"
	"time"

	"github.com/hashicorp/memberlist"
)

// backlog is how many packets wait for memberlist before more are lost.
const backlog = 256

// packets implements memberlist.Transport: packets that may be lost, and streams.
type packets struct {
	process  *Process
	port     int
	listener net.Listener
	in       chan *memberlist.Packet
	streams  chan net.Conn
	over     chan struct{} // closed: nobody accepts streams any more
}

// newPackets listens for streams. The caller holds the lock.
func newPackets(p *Process) *packets {
	p.port++
	t := &packets{process: p, port: p.port, in: make(chan *memberlist.Packet, backlog), streams: make(chan net.Conn), over: make(chan struct{})}
	l := &listener{process: p, address: t.address(), closed: p.dead}
	p.listeners[string(l.address)] = l
	t.listener = l
	go t.accept()
	return t
}

func (t *packets) address() address {
	return address(net.JoinHostPort(t.process.ip, strconv.Itoa(t.port)))
}

func (t *packets) accept() {
	defer close(t.over)
	for {
		c, err := t.listener.Accept()
		if err != nil {
			return
		}
		select {
		case t.streams <- c:
		case <-time.After(streamPatience): // memberlist has ended
			c.Close()
		}
	}
}

// streamPatience is how long a stream waits for memberlist to take it.
const streamPatience = 10 * time.Second

// FinalAdvertiseAddr implements memberlist.Transport.
func (t *packets) FinalAdvertiseAddr(string, int) (net.IP, int, error) {
	return net.ParseIP(t.process.ip), t.port, nil
}

// WriteTo implements memberlist.Transport. Packets that cannot cross now are lost.
func (t *packets) WriteTo(b []byte, at string) (time.Time, error) {
	host, _, err := net.SplitHostPort(at)
	if err != nil {
		return time.Time{}, err
	}
	n := t.process.net
	n.mu.Lock()
	defer n.mu.Unlock()
	peer := n.living[host]
	if t.process.dead || peer == nil || peer.gossip == nil || string(peer.gossip.address()) != at || !n.open(t.process, peer) {
		return now(), nil
	}
	p := &memberlist.Packet{Buf: append([]byte(nil), b...), From: t.address()}
	time.AfterFunc(n.delay(t.process, peer), func() { peer.gossip.arrive(p) })
	return now(), nil
}

// arrive hands a packet over, unless the process is dead, frozen or too slow.
func (t *packets) arrive(p *memberlist.Packet) {
	t.process.net.mu.Lock()
	defer t.process.net.mu.Unlock()
	if t.process.dead || t.process.frozen {
		return
	}
	p.Timestamp = now()
	select {
	case t.in <- p:
	default:
	}
}

// PacketCh implements memberlist.Transport.
func (t *packets) PacketCh() <-chan *memberlist.Packet { return t.in }

// DialTimeout implements memberlist.Transport.
func (t *packets) DialTimeout(at string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return t.process.Dial(ctx, at)
}

// StreamCh implements memberlist.Transport.
func (t *packets) StreamCh() <-chan net.Conn { return t.streams }

// Shutdown implements memberlist.Transport.
func (t *packets) Shutdown() error {
	_ = t.listener.Close() // more than once does nothing
	<-t.over
	return nil
}
