package direct

import (
	"bytes"
	"io"
	"net"
	"sync"
	"time"
)

// split returns a listener for what comes to lis and is not a direct connection.
// Those are given to direct, each on a goroutine of its own, with Magic read; it
// owns the connection. Who takes longer than patience to begin is cut off. Close
// ends lis, waits until direct has returned everywhere, and drops what nobody has
// accepted.
func split(lis net.Listener, patience time.Duration, direct func(net.Conn)) net.Listener {
	s := &splitter{Listener: lis, patience: patience, direct: direct, others: make(chan net.Conn), closed: make(chan struct{})}
	s.tasks.Go(s.accept)
	return s
}

type splitter struct {
	net.Listener
	patience time.Duration
	direct   func(net.Conn)
	others   chan net.Conn
	failed   error // why others come no more; set before closed is closed
	closed   chan struct{}
	closing  sync.Once
	tasks    sync.WaitGroup
}

// Accept implements net.Listener.
func (s *splitter) Accept() (net.Conn, error) {
	select {
	case conn := <-s.others:
		return conn, nil
	case <-s.closed:
		return nil, s.failed
	}
}

// Close implements net.Listener.
func (s *splitter) Close() error {
	s.end(net.ErrClosed)
	err := s.Listener.Close()
	s.tasks.Wait()
	return err
}

func (s *splitter) end(err error) {
	s.closing.Do(func() {
		s.failed = err
		close(s.closed)
	})
}

func (s *splitter) accept() {
	for {
		conn, err := s.Listener.Accept()
		if temporary, ok := err.(interface{ Temporary() bool }); ok && temporary.Temporary() && s.pause() {
			continue // too many open files, say; as package net/http does
		}
		if err != nil {
			s.end(err)
			return
		}
		s.tasks.Go(func() { s.sort(conn) })
	}
}

// pause waits a little, and reports false when the listener is closed meanwhile.
func (s *splitter) pause() bool {
	timer := time.NewTimer(50 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-s.closed:
		return false
	}
}

// sort reads how a connection begins. While it waits, Close cuts it off.
func (s *splitter) sort(conn net.Conn) {
	sorted := make(chan struct{})
	defer close(sorted)
	go func() {
		select {
		case <-s.closed:
			conn.Close()
		case <-sorted:
		}
	}()
	conn.SetReadDeadline(time.Now().Add(s.patience))
	head := make([]byte, len(Magic))
	n, err := readWhileMagic(conn, head)
	conn.SetReadDeadline(time.Time{})
	switch {
	case err == nil && string(head[:n]) == Magic:
		s.direct(conn)
	case err == nil || err == io.EOF && n > 0:
		s.pass(&begun{Conn: conn, head: bytes.NewReader(head[:n])})
	default:
		conn.Close()
	}
}

// readWhileMagic fills head as long as what comes could become Magic.
func readWhileMagic(conn net.Conn, head []byte) (n int, err error) {
	for n < len(head) && err == nil && Magic[:n] == string(head[:n]) {
		var more int
		more, err = conn.Read(head[n:])
		n += more
	}
	return n, err
}

func (s *splitter) pass(conn net.Conn) {
	select {
	case s.others <- conn:
	case <-s.closed:
		conn.Close()
	}
}

// begun is a connection whose first bytes have been read.
type begun struct {
	net.Conn
	head *bytes.Reader
}

// Read implements net.Conn.
func (b *begun) Read(p []byte) (int, error) {
	if b.head.Len() > 0 {
		return b.head.Read(p)
	}
	return b.Conn.Read(p)
}
