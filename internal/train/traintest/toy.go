// Package traintest has the run that tests train: a model so small that a step takes
// about a millisecond, on words in random order. What else a test needs it sets.
package traintest

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"parallax/internal/config"
)

// toy makes the preset tiny tinier: one layer of width 32, with two query heads and one
// key head of 16.
var toy = []string{"model.layers=1", "model.width=32", "model.q_heads=2", "model.kv_heads=1", "model.head_dim=16", "model.ffn=32", "schedule.warmup=2"}

// Spec is the toy on a text, with more settings as of --set.
func Spec(t testing.TB, data string, set ...string) config.Spec {
	t.Helper()
	all := append(append([]string{"data.path=" + data}, toy...), set...)
	loaded, err := config.Load(config.Sources{Preset: "tiny", Set: all})
	if err != nil {
		t.Fatal(err)
	}
	return loaded.Spec
}

// Words is a text of words in random order, always the same, of at least size bytes.
func Words(size int) string {
	r := rand.New(rand.NewPCG(1, 2))
	words := strings.Fields("the ring carries what the nodes have learnt and every node adds its share of it")
	var text strings.Builder
	for text.Len() < size {
		text.WriteString(words[r.IntN(len(words))] + " ")
	}
	return text.String()
}

// WriteWords writes [Words] to a file of the test and returns its path.
func WriteWords(t testing.TB, size int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "text.txt")
	if err := os.WriteFile(path, []byte(Words(size)), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}
