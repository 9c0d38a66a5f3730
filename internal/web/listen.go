package web

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
)

// DefaultAddress is where the page is served unless somebody asks for another place.
const DefaultAddress = "127.0.0.1:8080"

// Listen opens the page's address, HOST:PORT. When that is [DefaultAddress] and
// another process has it, a free port takes its place: nobody asked for this one,
// and a page must not keep a run from starting. Addresses that other hosts can
// reach need insecure, because the page has no TLS.
func Listen(address string, insecure bool) (net.Listener, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("the page's address %q is not HOST:PORT; use one like %s, or none for no page", address, DefaultAddress)
	}
	if !insecure && !isLoopback(host) {
		return nil, fmt.Errorf("the page at %s could be read from other hosts, without TLS: serve it on %s and reach it by ssh -L, or allow it with --insecure on a network you trust",
			address, DefaultAddress)
	}
	l, err := net.Listen("tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) && address == DefaultAddress {
		l, err = net.Listen("tcp", net.JoinHostPort(host, "0"))
	}
	if err != nil {
		return nil, fmt.Errorf("the page cannot be served at %s: %w; choose another address, port 0 for a free one, or none for no page", address, err)
	}
	return l, nil
}

// URL is what a person types to see what l serves.
func URL(l net.Listener) string {
	host, port, _ := net.SplitHostPort(l.Addr().String())
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, port) + "/"
}

// isLoopback reports whether a host's name or number means this host alone.
func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}
