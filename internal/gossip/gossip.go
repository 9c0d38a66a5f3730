package gossip

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/memberlist"
)

// Config says who we are and how we are reached.
type Config struct {
	Bind      string   // IP:port to listen on, TCP and UDP; port 0: a free one
	Advertise string   // host:port that others are told; empty: Bind's, or a private IP where that is 0.0.0.0
	Keys      [][]byte // AES keys of 16, 24 or 32 bytes: the first encrypts what we say, all are understood; none: not encrypted
	Meta      Meta
	Tuning    Tuning
	Log       *slog.Logger // nil: slog's default
	Transport Transport    // what carries our messages; nil: UDP and TCP on Bind
}

// Transport carries gossip's packets and streams; see memberlist for its duties.
type Transport = memberlist.Transport

// Gossip is our membership in a cluster.
type Gossip struct {
	list   *memberlist.Memberlist
	id     *identity
	events *queue
	spread time.Duration // how long news takes to go out
	once   sync.Once
}

// Start begins listening, as the only member of a cluster of our own until Join.
// Errors say which setting to change. The caller must call Shutdown.
func Start(c Config) (*Gossip, error) {
	living := new(roster)
	id, err := newIdentity(c.Meta, living)
	if err != nil {
		return nil, fmt.Errorf("gossip: %w", err)
	}
	settings, err := c.settings()
	if err != nil {
		return nil, fmt.Errorf("gossip: %w", err)
	}
	g := &Gossip{id: id, events: newQueue(c.Meta.name(), living), spread: c.Tuning.spread()}
	settings.Delegate, settings.Alive, settings.Events = id, id, g.events
	if g.list, err = memberlist.Create(settings); err != nil {
		g.events.close()
		return nil, startError(c.Bind, err)
	}
	return g, nil
}

func startError(bind string, err error) error {
	if strings.Contains(err.Error(), syscall.EADDRINUSE.Error()) { // memberlist does not wrap it
		return fmt.Errorf("gossip: %s is in use by another process; choose another with --gossip HOST:PORT, or port 0 for a free one", bind)
	}
	return fmt.Errorf("gossip: listening on %s: %w", bind, err)
}

// settings translates c for memberlist.
func (c Config) settings() (*memberlist.Config, error) {
	s := memberlist.DefaultLANConfig()
	s.Name = c.Meta.name()
	var err error
	if s.BindAddr, s.BindPort, err = splitAddress(c.Bind); err != nil {
		return nil, err
	}
	if net.ParseIP(s.BindAddr) == nil {
		return nil, fmt.Errorf("the address to listen on is %q; its host must be an IP address, such as 127.0.0.1 or 0.0.0.0", c.Bind)
	}
	s.AdvertisePort = s.BindPort
	if c.Advertise != "" {
		if s.AdvertiseAddr, s.AdvertisePort, err = resolve(c.Advertise); err != nil {
			return nil, err
		}
	}
	if len(c.Keys) > 0 {
		if s.Keyring, err = memberlist.NewKeyring(c.Keys, c.Keys[0]); err != nil {
			return nil, fmt.Errorf("the gossip keys cannot be used, each needs 16, 24 or 32 bytes: %w", err)
		}
	}
	if c.Tuning == (Tuning{}) {
		return nil, errors.New("no timings given; derive them with TuningFor")
	}
	c.Tuning.apply(s)
	s.Transport = c.Transport
	s.Logger = logger(cmp.Or(c.Log, slog.Default()))
	return s, nil
}

// resolve turns a host's name into its IP address, since gossip carries addresses.
func resolve(address string) (string, int, error) {
	host, port, err := splitAddress(address)
	if err != nil {
		return "", 0, err
	}
	ip, err := net.ResolveIPAddr("ip", host)
	if err != nil {
		return "", 0, fmt.Errorf("the address to advertise is %q: %w", address, err)
	}
	return ip.String(), port, nil
}

func splitAddress(address string) (string, int, error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, fmt.Errorf("%q is not HOST:PORT: %w", address, err)
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("%q has no port between 0 and 65535", address)
	}
	return host, int(port), nil
}

// Join makes us a member of the cluster that any of the seeds (host:port) is in.
func (g *Gossip) Join(seeds ...string) error {
	if _, err := g.list.Join(seeds); err != nil {
		return fmt.Errorf("gossip: joining through %v failed (is the address right, and the gossip key the same?): %w", seeds, err)
	}
	return nil
}

// Address is the host:port that others reach us at.
func (g *Gossip) Address() string { return g.list.LocalNode().Address() }

// Members lists who is there, ourselves included, ordered by id.
func (g *Gossip) Members() []Meta {
	var members []Meta
	for _, n := range g.list.Members() {
		if meta, err := decode(n.Meta); err == nil {
			members = append(members, meta)
		}
	}
	slices.SortFunc(members, func(a, b Meta) int {
		return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Incarnation, b.Incarnation))
	})
	return members
}

// Events delivers changes of membership in order, our own excepted. It is closed
// by Shutdown. Events wait until they are read.
func (g *Gossip) Events() <-chan Event { return g.events.out }

// Leave says goodbye, so that the others see us leave and not fail. It waits for
// the news to go out, up to timeout and never longer than news takes: where all
// leave at once, nobody is left to tell, and the error says so. Shutdown must
// still be called.
func (g *Gossip) Leave(timeout time.Duration) error {
	wait := max(min(timeout, g.spread), time.Millisecond)
	if err := g.id.set(func(m *Meta) { m.Leaving = true }); err != nil {
		return fmt.Errorf("gossip: %w", err)
	}
	if err := errors.Join(g.list.UpdateNode(wait), g.list.Leave(wait)); err != nil {
		return fmt.Errorf("gossip: leaving: %w", err)
	}
	return nil
}

// Shutdown stops listening and closes Events. To the others it is a death,
// unless Leave went before. It may be called more than once.
func (g *Gossip) Shutdown() error {
	var err error
	g.once.Do(func() {
		err = g.list.Shutdown()
		g.events.close()
	})
	return err
}
