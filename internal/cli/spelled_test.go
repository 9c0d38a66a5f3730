package cli

import "testing"

func TestSpelling(t *testing.T) {
	const byGo = "/tmp/go-build4266405860/b001/exe/parallax"
	for _, c := range []struct {
		started        string
		onPath, source bool
		want           string
	}{
		{"parallax", true, false, "parallax"},
		{byGo, true, true, "parallax"},
		{byGo, false, true, "go run ./cmd/parallax"},
		{byGo, false, false, "parallax"},
		{"./parallax", false, false, "./parallax"},
		{"/opt/bin/parallax", false, true, "/opt/bin/parallax"},
		{"./cli.test", false, false, "parallax"},
	} {
		if got := spelling(c.started, c.onPath, c.source); got != c.want {
			t.Errorf("started as %s, on the PATH %v, with its source here %v: %q, want %q", c.started, c.onPath, c.source, got, c.want)
		}
	}
}
