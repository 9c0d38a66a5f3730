package coord

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"

	"parallax/internal/gossip"
	"parallax/internal/network"
)

// listenAndGossip opens our two addresses.
func (c *Coordinator) listenAndGossip() (err error) {
	if c.listener, err = network.Listen(c.o.Network, c.o.Listen); err != nil {
		if errors.Is(err, syscall.EADDRINUSE) {
			return usage("%s is in use by another process; choose another address with --listen, or port 0 for a free one", c.o.Listen)
		}
		return usage("cannot listen on %s: %w", c.o.Listen, err)
	}
	settings, err := c.o.gossipConfig(c.Address())
	if err == nil {
		c.gossip, err = gossip.Start(settings)
	}
	if err != nil {
		c.listener.Close()
		return usage("%w", err)
	}
	return nil
}

// abort undoes listenAndGossip.
func (c *Coordinator) abort() {
	c.listener.Close()
	_ = c.gossip.Shutdown()
	c.lock.Close() // also where there is none
}

// Address is the host:port that nodes and people reach us at.
func (c *Coordinator) Address() string {
	host, port, _ := net.SplitHostPort(c.listener.Addr().String())
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		if name, err := os.Hostname(); err == nil {
			host = name
		}
	}
	return net.JoinHostPort(cmp.Or(c.o.Advertise, host), port)
}

// writeAddress puts our address into a file, which appears whole or not at all.
func (c *Coordinator) writeAddress() error {
	if c.o.AddressFile == "" {
		return nil
	}
	beside := filepath.Join(filepath.Dir(c.o.AddressFile), fmt.Sprintf(".%s.%d", filepath.Base(c.o.AddressFile), os.Getpid()))
	if err := os.WriteFile(beside, []byte(c.Address()+"\n"), 0o644); err != nil {
		return usage("cannot write our address to %s: %w", c.o.AddressFile, err)
	}
	if err := os.Rename(beside, c.o.AddressFile); err != nil {
		os.Remove(beside)
		return usage("cannot write our address to %s: %w", c.o.AddressFile, err)
	}
	return nil
}

func (c *Coordinator) serverOptions() []grpc.ServerOption {
	half := c.o.FailureTimeout / 2
	return append(c.o.Trust.ServerOptions(c.log),
		grpc.MaxRecvMsgSize(maxMessage),
		grpc.MaxHeaderListSize(maxHeaders),
		grpc.MaxConcurrentStreams(16),
		// A node that is stopped, or whose link is dead, loses its stream. Its
		// neighbours on the ring notice it first: this is for those that have none.
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: max(half, time.Second), Timeout: c.o.FailureTimeout}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: time.Second, PermitWithoutStream: true}),
	)
}
