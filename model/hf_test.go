package model

import (
	"encoding/binary"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"parallax/kernels"
)

func TestHFConfigNamesTheClassThatComputesIt(t *testing.T) {
	c := tiny()
	for _, want := range []struct {
		mixer            Mixer
		qkNorm           bool
		class, modelType string
	}{
		{SoftmaxAttention, true, "Qwen3ForCausalLM", "qwen3"},
		{SoftmaxAttention, false, "MistralForCausalLM", "mistral"},
		{ParallaxAttention, true, "ParallaxForCausalLM", "parallax"},
	} {
		c.Mixer, c.QKNorm = want.mixer, want.qkNorm
		text, err := HFConfigJSON(c, 64)
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			Architectures []string `json:"architectures"`
			ModelType     string   `json:"model_type"`
			Heads         int      `json:"num_attention_heads"`
			Length        int      `json:"max_position_embeddings"`
		}
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatal(err)
		}
		if len(got.Architectures) != 1 || got.Architectures[0] != want.class || got.ModelType != want.modelType ||
			got.Heads != c.QHeads || got.Length != 64 {
			t.Errorf("%s, qk_norm=%t: %+v", want.mixer, want.qkNorm, got)
		}
	}
}

// TestLogitsAgreeWithTransformers loads softmax models with transformers and
// compares all logits. It wants torch and transformers in the Python that
// PARALLAX_TEST_PYTHON names, or in python3, and skips without.
func TestLogitsAgreeWithTransformers(t *testing.T) {
	python := pythonWithTransformers(t)
	for _, v := range []struct {
		qkNorm, tied bool
		window       int
		class        string
	}{
		{true, false, 0, "Qwen3ForCausalLM"},
		{true, true, 3, "Qwen3ForCausalLM"},
		{false, false, 4, "MistralForCausalLM"},
	} {
		c := tiny()
		c.Mixer, c.QKNorm, c.TiedHead, c.Window = SoftmaxAttention, v.qkNorm, v.tied, v.window
		const batch, seqLen = 2, 9
		m := newModel(t, oracle(t), c, batch, seqLen)
		tokens := randomTokens(c, batch, seqLen, false)
		dir := t.TempDir()
		exportForTransformers(t, m, tokens, dir)

		theirs := transformersLogits(t, python, dir)
		if theirs.Class != v.class {
			t.Errorf("transformers loads a %s, want %s", theirs.Class, v.class)
		}
		e := relativeError(allLogits(t, m, tokens), theirs.flat())
		t.Logf("%+v: logits differ by %.2g", v, e)
		if !(e < 1e-5) {
			t.Error("that is too much")
		}
	}
}

func pythonWithTransformers(t *testing.T) string {
	python := os.Getenv("PARALLAX_TEST_PYTHON")
	if python == "" {
		python = "python3"
	}
	if out, err := exec.Command(python, "-c", "import torch, transformers.models.qwen3").CombinedOutput(); err != nil {
		t.Skipf("%s has no torch with a transformers that knows Qwen3 (set PARALLAX_TEST_PYTHON): %v %.200s", python, err, out)
	}
	return python
}

type logits struct {
	Class  string
	Logits [][][]float64
}

func (l logits) flat() []float64 {
	var x []float64
	for _, sequence := range l.Logits {
		for _, row := range sequence {
			x = append(x, row...)
		}
	}
	return x
}

func transformersLogits(t *testing.T, python, dir string) logits {
	t.Helper()
	cmd := exec.Command(python, "testdata/hf_logits.py", dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v", cmd, err)
	}
	var l logits
	if err := json.Unmarshal(out, &l); err != nil {
		t.Fatalf("%v: %v", cmd, err)
	}
	return l
}

// allLogits has every position's logits, [batch][seqLen][vocabulary].
func allLogits(t *testing.T, m *Model, b tokens) []float64 {
	v := m.cfg.Vocabulary
	out := make([]float64, m.batch*m.seqLen*v)
	dst, err := m.be.Alloc(kernels.F64, m.batch*v)
	if err != nil {
		t.Fatal(err)
	}
	onDevice := b.on(t, m.be)
	for pos := range m.seqLen {
		m.Logits(onDevice, pos, dst)
		rows := read(t, m.be, dst)
		for i := range m.batch {
			copy(out[(i*m.seqLen+pos)*v:], rows[i*v:(i+1)*v])
		}
	}
	return out
}

// exportForTransformers writes config.json, model.safetensors and tokens.json,
// after rounding the model's parameters to the file's float32.
func exportForTransformers(t *testing.T, m *Model, b tokens, dir string) {
	params := read(t, m.be, m.Params())
	for i, x := range params {
		params[i] = float64(float32(x))
	}
	write(t, m.be, m.Params(), params)
	m.SyncWork()

	config, err := HFConfigJSON(m.cfg, m.seqLen)
	if err != nil {
		t.Fatal(err)
	}
	var sequences [][]int32
	for i := range m.batch {
		sequences = append(sequences, b.inputs[i*m.seqLen:(i+1)*m.seqLen])
	}
	text, err := json.Marshal(sequences)
	if err != nil {
		t.Fatal(err)
	}
	for name, contents := range map[string][]byte{
		"config.json": config, "tokens.json": text, "model.safetensors": safetensors(t, m.Layout(), params),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), contents, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// safetensors is the parameters as a file of that format.
func safetensors(t *testing.T, l Layout, params []float64) []byte {
	header := map[string]any{"__metadata__": map[string]string{"format": "pt"}}
	var data []byte
	for _, p := range l.Params {
		begin := len(data)
		for _, x := range params[p.Offset : p.Offset+p.Len()] {
			data, _ = binary.Append(data, binary.LittleEndian, float32(x))
		}
		header[p.Name] = map[string]any{"dtype": "F32", "shape": p.Shape(), "data_offsets": []int{begin, len(data)}}
	}
	text, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	file := binary.LittleEndian.AppendUint64(nil, uint64(len(text)))
	return append(append(file, text...), data...)
}
