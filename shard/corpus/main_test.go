package corpus

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"go.uber.org/goleak"
)

// childEnv makes this test binary play another process, see TestMain.
const childEnv = "PARALLAX_CORPUS_TEST_CHILD"

func TestMain(m *testing.M) {
	switch os.Getenv(childEnv) {
	case "prepare": // arguments: data, cache folder
		p, err := Prepare(context.Background(), Request{Path: os.Args[1], Tokenizer: "bytes", CacheDir: os.Args[2]})
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(p.Cached, p.Manifest.SHA256)
	case "hold": // argument: lock file
		if _, err := acquire(context.Background(), os.Args[1], func(string) {}); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("held")
		bufio.NewReader(os.Stdin).ReadString('\n') // until killed
	default:
		goleak.VerifyTestMain(m)
	}
}

// child prepares another process of this binary.
func child(t *testing.T, role string, arguments ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(self, arguments...)
	c.Env = append(os.Environ(), childEnv+"="+role)
	return c
}
