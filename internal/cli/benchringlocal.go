package cli

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"parallax/collective"
	"parallax/internal/certs"
	"parallax/internal/ringbench"
	"parallax/internal/trust"
)

// A ring on this machine is this process, which is rank 0, and this program again
// for every other rank. Each says where it listens in a line, and is told in a line
// where all do.

func ringName(rank int) string { return fmt.Sprint("rank-", rank) }

// local measures a ring of n processes.
func (f *ringFlags) local(ctx context.Context, n int) (r ringbench.Result, err error) {
	certificate, remove, err := f.certify(n)
	if err != nil {
		return r, err
	}
	defer remove()
	if f.seat.Trust, err = trust.Load(trust.Files{TLS: certificate}); err != nil {
		return r, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return r, err
	}
	addresses := []string{lis.Addr().String()}
	var members []*ringMember
	defer func() {
		cancel()
		for _, m := range members {
			_ = m.cmd.Wait()
		}
	}()
	for rank := 1; rank < n && err == nil; rank++ {
		var m *ringMember
		if m, err = f.startMember(ctx, rank, certificate); err == nil {
			members, addresses = append(members, m), append(addresses, m.address)
		}
	}
	if err != nil {
		lis.Close()
		return r, err
	}
	for _, m := range members {
		fmt.Fprintln(m.in, strings.Join(addresses, " "))
	}
	f.sit(0, addresses)
	if r, err = f.seat.Measure(ctx, lis, f.trial); err != nil {
		return r, err
	}
	return r, waitAll(members)
}

// sit takes a seat among processes of this machine.
func (f *ringFlags) sit(rank int, addresses []string) {
	f.seat.Rank, f.seat.Members = rank, nil
	for i, a := range addresses {
		f.seat.Members = append(f.seat.Members, collective.Member{Name: ringName(i), Host: "127.0.0.1", Address: a})
	}
}

// certify makes a certificate for all ranks, if there is to be TLS.
func (f *ringFlags) certify(n int) (files certs.Files, remove func(), err error) {
	if !f.tls {
		return files, func() {}, nil
	}
	dir, err := os.MkdirTemp("", "parallax-ring-")
	if err != nil {
		return files, nil, err
	}
	remove = func() { _ = os.RemoveAll(dir) }
	var names []string
	for rank := range n {
		names = append(names, ringName(rank))
	}
	authority, err := certs.Init(filepath.Join(dir, "tls"), "authority of a measurement", 1)
	if err == nil {
		files, err = authority.Issue(certs.Request{Role: certs.Node, Name: "all", Hosts: names, Days: 1})
	}
	if err != nil {
		remove()
	}
	return files, remove, err
}

// ringMember is the process of another rank.
type ringMember struct {
	rank    int
	cmd     *exec.Cmd
	in      io.Writer
	address string
	said    bytes.Buffer // on standard error
}

func (f *ringFlags) startMember(ctx context.Context, rank int, certificate certs.Files) (*ringMember, error) {
	executable, err := os.Executable()
	if err != nil {
		return nil, err
	}
	args := []string{"bench", "ring", "--member", "--rank", strconv.Itoa(rank), "--op", f.op, "--transport", f.transport,
		"--bytes", f.bytes.String(), "--rounds", strconv.Itoa(f.rounds)}
	if f.tls {
		args = append(args, tlsFlags(certificate)...)
	}
	m := &ringMember{rank: rank, cmd: exec.CommandContext(ctx, executable, args...)}
	m.cmd.Stderr = &m.said
	if m.in, err = m.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := m.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := m.cmd.Start(); err != nil {
		return nil, err
	}
	if m.address, err = bufio.NewReader(out).ReadString('\n'); err != nil {
		_ = m.cmd.Wait()
		return nil, fmt.Errorf("the process of rank %d said nothing: %s", rank, strings.TrimSpace(m.said.String()))
	}
	m.address = strings.TrimSpace(m.address)
	return m, nil
}

// waitAll waits until all processes have ended, and says which one failed.
func waitAll(members []*ringMember) error {
	for _, m := range members {
		if err := m.cmd.Wait(); err != nil {
			return fmt.Errorf("the process of rank %d: %w: %s", m.rank, err, strings.TrimSpace(m.said.String()))
		}
	}
	return nil
}

// runMember is the life of another rank's process.
func (f *ringFlags) runMember(ctx context.Context, in io.Reader, out io.Writer) (err error) {
	if f.seat.Trust, err = f.trust.load("ring"); err != nil {
		return err
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Fprintln(out, lis.Addr())
	line, err := bufio.NewReader(in).ReadString('\n')
	addresses := strings.Fields(line)
	if err != nil || f.rank < 0 || f.rank >= len(addresses) {
		lis.Close()
		return errors.New("who has started this process has not told it where the others are")
	}
	f.sit(f.rank, addresses)
	_, err = f.seat.Measure(ctx, lis, f.trial)
	return err
}
