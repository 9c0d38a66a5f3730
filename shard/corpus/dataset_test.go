package corpus

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"parallax/kernels"
	"parallax/shard"
)

// sequence is the tokens 1, 2, ..., n.
func sequence(n int) []int32 {
	tokens := make([]int32, n)
	for i := range tokens {
		tokens[i] = int32(i + 1)
	}
	return tokens
}

func dataset(t *testing.T, o Options, tokens ...int32) *Dataset {
	t.Helper()
	if o.Vocabulary == 0 {
		o.Vocabulary = 1000
	}
	d, err := NewDataset(open(t, writeTokens(t, 1000, tokens...)), o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// fill returns buffers that Fill wrote over something else.
func fill(d *Dataset, split shard.Split, indices ...int) (tokens, targets, starts []int32, scored int) {
	n := len(indices) * d.SeqLen()
	tokens, targets, starts = slices.Repeat([]int32{77}, n), slices.Repeat([]int32{77}, n), slices.Repeat([]int32{77}, n)
	scored = d.Fill(split, indices, tokens, targets, starts)
	return tokens, targets, starts, scored
}

func TestSequences(t *testing.T) {
	d := dataset(t, Options{SeqLen: 4, ValidationShare: 0.4}, sequence(23)...) // 5 sequences, 2 tokens over
	if d.Sequences(shard.Train) != 3 || d.Sequences(shard.Validation) != 2 || d.SeqLen() != 4 || d.Vocabulary() != 1000 {
		t.Fatalf("%d and %d sequences of %d", d.Sequences(shard.Train), d.Sequences(shard.Validation), d.SeqLen())
	}
	tokens, targets, starts, scored := fill(d, shard.Train, 2, shard.Padding, 0)
	if want := []int32{9, 10, 11, 12, 0, 0, 0, 0, 1, 2, 3, 4}; !slices.Equal(tokens, want) {
		t.Errorf("tokens %v, want %v", tokens, want)
	}
	if want := []int32{10, 11, 12, 13, -1, -1, -1, -1, 2, 3, 4, 5}; !slices.Equal(targets, want) || scored != 8 {
		t.Errorf("targets %v, %d scored, want %v", targets, scored, want)
	}
	if !slices.Equal(starts, make([]int32, 12)) {
		t.Errorf("document starts %v without documents", starts)
	}
	if tokens, targets, _, _ := fill(d, shard.Validation, 1); tokens[0] != 17 || targets[3] != 21 {
		t.Errorf("the last validation sequence is %v -> %v", tokens, targets)
	}
}

func TestEveryTokenIsATargetOnce(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	for range 100 {
		seqLen := 1 + r.IntN(9)
		n := 2*seqLen + 1 + r.IntN(100)
		d := dataset(t, Options{SeqLen: seqLen, ValidationShare: r.Float64()}, sequence(n)...)
		var all []int32
		for _, split := range []shard.Split{shard.Train, shard.Validation} {
			if d.Sequences(split) < 1 {
				t.Fatalf("%d tokens in sequences of %d: none in the %s split", n, seqLen, split)
			}
			for i := range d.Sequences(split) {
				_, targets, _, _ := fill(d, split, i)
				all = append(all, targets...)
			}
		}
		if want := sequence(n)[1 : 1+(n-1)/seqLen*seqLen]; !slices.Equal(all, want) {
			t.Fatalf("%d tokens in sequences of %d: targets %v, want %v", n, seqLen, all, want)
		}
	}
}

func TestDocuments(t *testing.T) {
	const end = 9
	d := dataset(t, Options{SeqLen: 6, ValidationShare: 0.3, Documents: true, EndOfText: end},
		1, 2, end, 3, end, end,
		4, 5, 6, 7, 8, end,
		end, 1, 1, 1, 1, end,
		1)
	tokens, targets, starts, scored := fill(d, shard.Train, 0, 1)
	if want := []int32{1, 2, end, 3, end, end, 4, 5, 6, 7, 8, end}; !slices.Equal(tokens, want) {
		t.Errorf("tokens  %v, want %v", tokens, want)
	}
	if want := []int32{2, end, -1, end, -1, -1, 5, 6, 7, 8, end, -1}; !slices.Equal(targets, want) || scored != 8 {
		t.Errorf("targets %v, %d scored, want %v", targets, scored, want)
	}
	want, err := kernels.DocStarts([]int{0, 3, 5, 6, 12}, 2, 6) // 1 2 end | 3 end | end || 4 5 6 7 8 end
	if err != nil || !slices.Equal(starts, want) {
		t.Errorf("starts  %v, want %v, %v", starts, want, err)
	}
	if scored := d.Fill(shard.Validation, []int{0}, tokens[:6], targets[:6], nil); scored != 4 {
		t.Errorf("%d scored without room for starts, want 4", scored)
	}
}

func TestDatasetRefuses(t *testing.T) {
	path := writeTokens(t, 1000, sequence(20)...)
	f := open(t, path)
	for _, c := range []struct {
		o    Options
		want string
	}{
		{Options{SeqLen: 10, ValidationShare: 0.1, Vocabulary: 100}, "token file " + path + " holds 20 tokens, but one training and one validation sequence of 10 need 21: use more data or shorter sequences"},
		{Options{SeqLen: 4, Vocabulary: 20}, "token file " + path + " holds token 20, but the vocabulary is 20: choose the tokenizer that made the file, or a larger vocabulary"},
		{Options{SeqLen: 0, Vocabulary: 100}, "sequences of 0 tokens: the sequence length must be at least 1"},
		{Options{SeqLen: 4, Vocabulary: 100, ValidationShare: 1}, "validation share 1: it must be at least 0 and less than 1"},
		{Options{SeqLen: 4, Vocabulary: 100, ValidationShare: math.NaN()}, "validation share NaN: it must be at least 0 and less than 1"},
	} {
		if _, err := NewDataset(f, c.o); err == nil || err.Error() != c.want {
			t.Errorf("%+v: %v\nwant %s", c.o, err, c.want)
		}
	}
	if _, err := NewDataset(f, Options{SeqLen: 4, Vocabulary: 21}); err != nil {
		t.Error(err)
	}
}

func TestTokensBeyondInt32AreRefused(t *testing.T) {
	data := append(wide.header(9), make([]byte, 36)...)
	data[headerSize+3] = 0x80
	f := open(t, writeFile(t, t.TempDir()+"/wide.bin", data))
	_, err := NewDataset(f, Options{SeqLen: 4, Vocabulary: math.MaxInt32})
	if err == nil || !strings.Contains(err.Error(), "holds token 2147483648,") {
		t.Errorf("token 2^31: %v", err)
	}
}

func TestFillRefusesWrongArguments(t *testing.T) {
	d := dataset(t, Options{SeqLen: 4, ValidationShare: 0.1}, sequence(23)...)
	four := make([]int32, 4)
	for name, f := range map[string]func(){
		"index beyond the split": func() { d.Fill(shard.Train, []int{4}, four, four, nil) },
		"negative index":         func() { d.Fill(shard.Train, []int{-2}, four, four, nil) },
		"short targets":          func() { d.Fill(shard.Train, []int{0}, four, four[:3], nil) },
		"short starts":           func() { d.Fill(shard.Train, []int{0}, four, four, four[:1]) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
}

func BenchmarkFill(b *testing.B) {
	tokens := make([]int32, 1<<20)
	d, err := NewDataset(open(b, writeTokens(b, 256, tokens...)), Options{SeqLen: 1024, Vocabulary: 256, Documents: true, EndOfText: 1})
	if err != nil {
		b.Fatal(err)
	}
	row, targets, starts := make([]int32, 1024), make([]int32, 1024), make([]int32, 1024)
	b.SetBytes(2 * 1024)
	for i := range b.N {
		d.Fill(shard.Train, []int{i % d.Sequences(shard.Train)}, row, targets, starts)
	}
}

// Without a validation share nothing is held out, and one sequence is enough.
func TestNothingHeldOut(t *testing.T) {
	d := dataset(t, Options{SeqLen: 4}, sequence(5)...)
	if train, held := d.Sequences(shard.Train), d.Sequences(shard.Validation); train != 1 || held != 0 {
		t.Errorf("%d training and %d validation sequences, want 1 and 0", train, held)
	}
}
