package corpus

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

func TestWaitingForTheHolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.lock")
	held, err := acquire(context.Background(), path, func(string) { t.Error("waiting for nobody") })
	if err != nil {
		t.Fatal(err)
	}
	told := 0
	second, err := acquire(context.Background(), path, func(holder string) {
		told++
		if want := fmt.Sprintf("process %d", os.Getpid()); holder != want {
			t.Errorf("waiting for %q, want %q", holder, want)
		}
		held.release()
	})
	if err != nil {
		t.Fatal(err)
	}
	second.release()
	if told != 1 {
		t.Errorf("told %d times, want once", told)
	}
	if left := names(t, filepath.Dir(path)); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestWaitingCanBeInterrupted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.lock")
	held, err := acquire(context.Background(), path, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	defer held.release()
	ctx, cancel := context.WithCancel(context.Background())
	if _, err := acquire(ctx, path, func(string) { cancel() }); !errors.Is(err, context.Canceled) {
		t.Errorf("an interrupted wait returns %v", err)
	}
}

func TestAKilledHolderBlocksNobody(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.lock")
	holder := child(t, "hold", path)
	stdin, err := holder.StdinPipe() // the child lives as long as it is open
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	stdout, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "held\n" {
		t.Fatalf("the holder says %q, %v", line, err)
	}
	lock, err := acquire(context.Background(), path, func(name string) {
		if want := fmt.Sprintf("process %d", holder.Process.Pid); name != want {
			t.Errorf("waiting for %q, want %q", name, want)
		}
		holder.Process.Kill()
		holder.Wait()
	})
	if err != nil {
		t.Fatal(err)
	}
	lock.release()
	if holder.ProcessState == nil {
		t.Error("the lock was free while its holder lived")
	}
}
