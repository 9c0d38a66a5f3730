package launch

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// The processes of these tests are the test binary again: as the coordinator, as
// a node, or as a parent that starts a cluster and never ends. Each connects to
// the test's socket, says what it is, and does what it is told there, so that the
// test knows that it runs and, when the connection breaks, that it does not.

const (
	socketVariable = "LAUNCH_TEST_SOCKET"
	parentVariable = "LAUNCH_TEST_PARENT_DIR"
)

func TestMain(m *testing.M) {
	if os.Getenv(socketVariable) != "" && len(os.Args) > 1 {
		switch os.Args[1] {
		case "coordinator", "node":
			os.Exit(stage(os.Args[1], os.Args[2:]))
		case "parent":
			parentMain()
		}
	}
	goleak.VerifyTestMain(m)
}

// stage plays a process of a cluster and returns its exit code.
func stage(role string, args []string) int {
	conn, err := net.Dial("unix", os.Getenv(socketVariable))
	if err != nil {
		fmt.Println(err)
		return 1
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	go func() {
		<-signals
		fmt.Println("got SIGTERM")
		os.Exit(0)
	}()
	if file := flagValue(args, "--address-file"); file != "" {
		if err := os.WriteFile(file+".new", []byte("127.0.0.1:1234\n"), 0o644); err != nil {
			panic(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			panic(err)
		}
	}
	fmt.Fprintln(conn, role, strings.Join(args, " "))
	order, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return 3 // the test is gone
	}
	code, _ := strconv.Atoi(strings.TrimSpace(order))
	fmt.Printf("%s was told to exit with %d\n", role, code)
	return code
}

// parentMain starts a cluster and waits to be killed.
func parentMain() {
	c, err := Local{Nodes: 2, Dir: os.Getenv(parentVariable)}.Start(context.Background())
	if err != nil {
		panic(err)
	}
	c.Wait()
	os.Exit(0)
}

func flagValue(args []string, flag string) string {
	for i := range args {
		if args[i] == flag {
			return args[i+1]
		}
	}
	return ""
}

// stageHand is the test's end of the socket.
type stageHand struct {
	t        *testing.T
	listener net.Listener
	actors   map[string]*actor // by name
}

type actor struct {
	conn net.Conn
	args []string
}

const patience = 20 * time.Second // a test that waits longer has failed

func newStage(t *testing.T) *stageHand {
	t.Helper()
	listener, err := net.Listen("unix", filepath.Join(t.TempDir(), "socket"))
	if err != nil {
		t.Skipf("no unix sockets here: %v", err)
	}
	t.Cleanup(func() { listener.Close() })
	t.Setenv(socketVariable, listener.Addr().String())
	return &stageHand{t, listener, make(map[string]*actor)}
}

// expect waits until n more processes have come.
func (s *stageHand) expect(n int) {
	s.t.Helper()
	for range n {
		s.listener.(*net.UnixListener).SetDeadline(time.Now().Add(patience))
		conn, err := s.listener.Accept()
		if err != nil {
			s.t.Fatal(err)
		}
		s.t.Cleanup(func() { conn.Close() })
		line, err := bufio.NewReader(conn).ReadString('\n')
		if err != nil {
			s.t.Fatal(err)
		}
		words := strings.Fields(line)
		name := words[0]
		if name == "node" {
			name = flagValue(words, "--name")
		}
		s.actors[name] = &actor{conn, words}
	}
}

// tell makes a process exit with a code.
func (s *stageHand) tell(name string, code int) { fmt.Fprintln(s.actors[name].conn, code) }

// gone waits until a process has ended.
func (s *stageHand) gone(name string) {
	s.t.Helper()
	conn := s.actors[name].conn
	conn.SetReadDeadline(time.Now().Add(patience))
	if _, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		s.t.Fatalf("%s is still there: %v", name, err)
	}
}

// cluster starts two nodes.
func (s *stageHand) cluster(l Local) *Cluster {
	s.t.Helper()
	l.Nodes, l.Dir = 2, s.t.TempDir()
	c, err := l.Start(context.Background())
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.KillAll(); c.Wait() })
	s.expect(3)
	return c
}

func codes(exits []Exit) []int {
	var all []int
	for _, e := range exits {
		all = append(all, e.Code)
	}
	return all
}

func TestDevicesAreDealtOut(t *testing.T) {
	l := Local{Nodes: 3, Devices: []string{"cuda:0", "cuda:1"}}
	for i, want := range []string{"cuda:0", "cuda:1", "cuda:0"} {
		if got := flagValue(l.nodeArgs(i, "head:1"), "--device"); got != want {
			t.Errorf("node %d has device %s, want %s", i, got, want)
		}
	}
}

func TestClusterRuns(t *testing.T) {
	s := newStage(t)
	c := s.cluster(Local{Spec: "run.toml", Devices: []string{"cpu", "gpu:1", "gpu:2"}, Threads: 3, Resume: true, NodeArgs: []string{"--patience", "9s"}})
	if c.Address() != "127.0.0.1:1234" {
		t.Errorf("the coordinator's address is %q", c.Address())
	}
	coordinator := strings.Join(s.actors["coordinator"].args, " ")
	if want := "coordinator --listen 127.0.0.1:0 --gossip 127.0.0.1:0 --nodes 2 --spec run.toml --run-dir "; !strings.HasPrefix(coordinator, want) || !strings.HasSuffix(coordinator, " --resume") {
		t.Errorf("coordinator was started as %s", coordinator)
	}
	node := strings.Join(s.actors["node-1"].args, " ")
	if want := "node --name node-1 --coordinator 127.0.0.1:1234 --device gpu:1 --listen 127.0.0.1:0 --gossip 127.0.0.1:0 --threads 3 --patience 9s"; node != want {
		t.Errorf("node was started as %s, want %s", node, want)
	}
	for name := range s.actors {
		s.tell(name, 0)
	}
	if got := codes(c.Wait()); fmt.Sprint(got) != "[0 0 0]" {
		t.Errorf("exit codes %v", got)
	}
}

func TestExitsAreToldAsTheyHappen(t *testing.T) {
	s := newStage(t)
	c := s.cluster(Local{})
	s.tell("node-1", 2)
	e := <-c.Exits()
	if e.Process != "node-1" || e.Code != 2 || !strings.Contains(e.Error(), "node was told to exit with 2") {
		t.Errorf("got %v", e.Error())
	}
	if err := c.Kill(0); err != nil {
		t.Fatal(err)
	}
	e = <-c.Exits()
	if e.Process != "node-0" || e.Code != 137 || !strings.Contains(e.Error(), "killed") {
		t.Errorf("got %v", e.Error())
	}
	if err := c.Kill(0); err != nil {
		t.Errorf("killing the dead: %v", err)
	}
	if err := c.Kill(2); err == nil {
		t.Error("a node that does not exist was killed")
	}
	s.tell("coordinator", 69)
	if got := codes(c.Wait()); fmt.Sprint(got) != "[69 137 2]" {
		t.Errorf("exit codes %v", got)
	}
}

func TestStopAsksTheCoordinator(t *testing.T) {
	s := newStage(t)
	c := s.cluster(Local{})
	go func() {
		<-c.Exits() // the coordinator's: nodes end after it
		s.tell("node-0", 0)
		s.tell("node-1", 0)
	}()
	if err := c.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
	exits := c.Wait()
	if fmt.Sprint(codes(exits)) != "[0 0 0]" || exits[0].Tail != "got SIGTERM" {
		t.Errorf("got %+v", exits)
	}
}

func TestStopKillsWhoStays(t *testing.T) {
	s := newStage(t)
	c := s.cluster(Local{})
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		<-c.Exits() // the coordinator obeys
		cancel()    // and we lose patience with the nodes
	}()
	if err := c.Stop(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if got := codes(c.Wait()); fmt.Sprint(got) != "[0 137 137]" {
		t.Errorf("exit codes %v", got)
	}
}

func TestCoordinatorThatDoesNotStart(t *testing.T) {
	_, err := Local{Nodes: 1, Dir: t.TempDir(), Binary: "/bin/sh"}.Start(context.Background())
	if err == nil || !strings.Contains(err.Error(), "coordinator exited with code") {
		t.Errorf("got %v", err)
	}
	_, err = Local{Nodes: 1, Dir: t.TempDir(), Binary: "/does/not/exist"}.Start(context.Background())
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestOldLogIsNotBlamed(t *testing.T) {
	s := newStage(t)
	l := Local{Nodes: 1, Dir: t.TempDir()}
	for _, code := range []int{5, 6} {
		c, err := l.Start(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		s.expect(2)
		s.tell("coordinator", code)
		s.tell("node-0", 0)
		if got := c.Wait()[0].Tail; got != fmt.Sprintf("coordinator was told to exit with %d", code) {
			t.Errorf("tail is %q", got)
		}
	}
}
