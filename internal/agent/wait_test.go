package agent

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestWaitAloud(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said bytes.Buffer
		a := &agent{o: Options{Coordinator: "head:7070", Patience: time.Hour}, log: slog.New(slog.NewTextHandler(&said, nil)), life: t.Context()}
		answered := a.waitAloud()
		time.Sleep(71 * time.Second)
		answered()
		a.tasks.Wait()
		if n := strings.Count(said.String(), "coordinator=head:7070"); n != 3 {
			t.Errorf("told %d times in 71 s, want after 2, 32 and 62 s: %s", n, said.String())
		}
	})
}
