package record

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestQueuedStepIsOnDiskWithinASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "l.db")
		l := openAt(t, path)
		must(t, l.StartRun(testRun("r")))
		other := openAt(t, path)
		must(t, l.AppendStep("r", testStep(1)))
		if steps, err := other.Steps("r"); len(steps) != 0 || err != nil {
			t.Errorf("%d steps at once, %v: a step waited for the disk", len(steps), err)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if steps, err := other.Steps("r"); len(steps) != 1 || err != nil {
			t.Errorf("%d steps after a second, %v", len(steps), err)
		}
	})
}

func TestClosedLedgerKeepsWhatWasQueued(t *testing.T) {
	path := filepath.Join(t.TempDir(), "l.db")
	l, err := Open(path)
	must(t, err)
	must(t, l.StartRun(testRun("r")))
	must(t, l.AppendStep("r", testStep(1)))
	must(t, l.Close())
	must(t, l.Close())
	if err := l.AppendStep("r", testStep(2)); err == nil {
		t.Error("a closed ledger took a step")
	}
	again, err := OpenExisting(path)
	must(t, err)
	defer again.Close()
	if steps, err := again.Steps("r"); len(steps) != 1 || err != nil {
		t.Errorf("%d steps, %v", len(steps), err)
	}
}

func TestFailedWriteIsToldAndFinal(t *testing.T) {
	l, err := Open(filepath.Join(t.TempDir(), "l.db"))
	must(t, err)
	must(t, l.AppendStep("no such run", testStep(1)))
	const want = "writing failed, the record ends here: "
	if err := l.Flush(); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v", err)
	}
	if err := l.AppendStep("r", testStep(2)); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v", err)
	}
	if err := l.Close(); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v", err)
	}
}

func TestReadersWhileWriting(t *testing.T) {
	path := filepath.Join(t.TempDir(), "l.db")
	l := openAt(t, path)
	must(t, l.StartRun(testRun("r")))
	const steps, readers = 300, 3
	var wg sync.WaitGroup
	for range readers {
		other := openAt(t, path)
		wg.Go(func() {
			for seen := 0; seen < steps; {
				got, err := other.Steps("r")
				if err != nil || len(got) < seen {
					t.Errorf("%d steps after %d, %v", len(got), seen, err)
					return
				}
				seen = len(got)
			}
		})
	}
	for n := range int64(steps) {
		must(t, l.AppendStep("r", testStep(n)))
		if n%20 == 0 {
			must(t, l.Flush())
		}
	}
	must(t, l.Flush())
	wg.Wait()
}

// crashEnv holds the path of the ledger in the process that is to be killed.
const crashEnv = "RECORD_TEST_CRASH"

// crash writes ten steps, says so, queues more, and waits to be killed.
func crash(path string) {
	l, err := Open(path)
	if err == nil {
		err = l.StartRun(testRun("r"))
	}
	for n := int64(1); err == nil && n <= 10; n++ {
		err = l.AppendStep("r", testStep(n))
	}
	if err == nil {
		err = l.SaveState("r", "view", []byte("7"))
	}
	fmt.Println("flushed", err)
	for n := int64(11); ; n++ {
		if err := l.AppendStep("r", testStep(n)); err != nil {
			panic(err)
		}
		if n%100 == 0 {
			l.Flush()
		}
	}
}

func TestKilledWriterKeepsWhatWasFlushed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "l.db")
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), crashEnv+"="+path)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	line, _ := bufio.NewReader(out).ReadString('\n')
	must(t, cmd.Process.Kill())
	cmd.Wait()
	if line != "flushed <nil>\n" {
		t.Fatalf("the writer said %q", line)
	}
	l := openAt(t, path)
	steps, err := l.Steps("r")
	if len(steps) < 10 || err != nil {
		t.Fatalf("%d steps, %v", len(steps), err)
	}
	for i, s := range steps {
		if diff := cmp.Diff(testStep(int64(i+1)), s); diff != "" {
			t.Fatal(diff)
		}
	}
	if state, _, err := l.LoadState("r", "view"); string(state) != "7" || err != nil {
		t.Errorf("state %q, %v", state, err)
	}
}
