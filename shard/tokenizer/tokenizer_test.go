package tokenizer

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func newTokenizer(t testing.TB, name string) Tokenizer {
	t.Helper()
	tok, err := New(name)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// The ids are those of OpenAI's tiktoken.
func TestKnownIDs(t *testing.T) {
	for _, c := range []struct {
		name                  string
		vocabulary, endOfText int
		ids                   []int32 // of "hello world"
	}{
		{"bytes", 256, 0, []int32{'h', 'e', 'l', 'l', 'o', ' ', 'w', 'o', 'r', 'l', 'd'}},
		{"gpt2", 50257, 50256, []int32{31373, 995}},
		{"cl100k", 100277, 100257, []int32{15339, 1917}},
		{"o200k", 200019, 199999, []int32{24912, 2375}},
	} {
		tok := newTokenizer(t, c.name)
		if tok.Name() != c.name || tok.Vocabulary() != c.vocabulary || int(tok.EndOfText()) != c.endOfText {
			t.Errorf("%s: name %s, vocabulary %d, end of text %d", c.name, tok.Name(), tok.Vocabulary(), tok.EndOfText())
		}
		ids, err := tok.Encode([]int32{7}, "hello world")
		if err != nil || !slices.Equal(ids, append([]int32{7}, c.ids...)) {
			t.Errorf("%s: hello world is %v, %v; want %v after 7", c.name, ids, err, c.ids)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	texts := []string{"", "a", "func main() {\n\tfmt.Println(\"hi\")\n}\n", "naïve café — 東京 🙂", "  \n\n \t x", strings.Repeat("ab1 ", 300), "<|endoftext|>", "\x7f", "a \x7f\x7f b\x7f"}
	for _, name := range Names() {
		tok := newTokenizer(t, name)
		for _, text := range texts {
			roundTrip(t, tok, text)
		}
	}
}

func roundTrip(t *testing.T, tok Tokenizer, text string) {
	t.Helper()
	ids, err := tok.Encode(nil, text)
	if err != nil {
		t.Fatalf("%s: encoding %q: %v", tok.Name(), text, err)
	}
	for _, id := range ids {
		if id < 0 || int(id) >= tok.Vocabulary() || id == tok.EndOfText() {
			t.Fatalf("%s: %q has id %d", tok.Name(), text, id)
		}
	}
	back, err := tok.Decode(append(ids, tok.EndOfText()))
	if err != nil || back != text {
		t.Fatalf("%s: %q comes back as %q, %v", tok.Name(), text, back, err)
	}
}

func FuzzRoundTrip(f *testing.F) {
	f.Add("hello, world\n")
	tokenizers := []Tokenizer{newTokenizer(f, "bytes"), newTokenizer(f, "gpt2")}
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) || strings.Contains(text, "\x00") {
			t.Skip("not text")
		}
		for _, tok := range tokenizers {
			roundTrip(t, tok, text)
		}
	})
}

func TestDecodeRefusesWhatIsNoText(t *testing.T) {
	for _, c := range []struct {
		name string
		id   int32
		want string
	}{
		{"bytes", 256, "tokenizer bytes: id 256 at position 1 is no byte"},
		{"bytes", -1, "tokenizer bytes: id -1 at position 1 is no byte"},
		{"gpt2", 50257, "tokenizer gpt2: id 50257 at position 1 stands for no text"},
		{"cl100k", 100256, "tokenizer cl100k: id 100256 at position 1 stands for no text"},
		{"o200k", 200018, "tokenizer o200k: id 200018 at position 1 stands for no text"},
	} {
		if _, err := newTokenizer(t, c.name).Decode([]int32{65, c.id}); err == nil || err.Error() != c.want {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

func TestUnknownName(t *testing.T) {
	const want = `unknown tokenizer "llama": use one of bytes, gpt2, cl100k, o200k`
	if _, err := New("llama"); err == nil || err.Error() != want {
		t.Errorf("New(llama): %v, want %q", err, want)
	}
}
