package tensorboard

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"parallax/record"
)

var start = time.Date(2026, 11, 23, 19, 49, 46, 500e6, time.UTC)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// The check value of crc32c (RFC 3720, B.4: 32 bytes of zeros give 8a9136aa),
// masked by hand.
func TestMaskedCRC(t *testing.T) {
	const sum = 0x8a9136aa
	want := uint32((uint64(sum>>15|(sum<<17)&0xffffffff) + 0xa282ead8) & 0xffffffff)
	if got := maskedCRC(make([]byte, 32)); got != want {
		t.Errorf("got %08x, want %08x", got, want)
	}
}

func TestRecordFraming(t *testing.T) {
	var b bytes.Buffer
	must(t, writeRecord(&b, []byte("abc")))
	got := b.Bytes()
	if len(got) != 8+4+3+4 || binary.LittleEndian.Uint64(got) != 3 || string(got[12:15]) != "abc" {
		t.Fatalf("got % x", got)
	}
	if binary.LittleEndian.Uint32(got[8:]) != maskedCRC(got[:8]) || binary.LittleEndian.Uint32(got[15:]) != maskedCRC([]byte("abc")) {
		t.Errorf("checksums in % x", got)
	}
}

// Bytes worked out by hand from the messages' field numbers.
func TestMessages(t *testing.T) {
	for name, c := range map[string]struct {
		got  []byte
		want string
	}{
		"version": {event(time.Unix(1, 5e8), 0, version, nil), "09 000000000000f83f 10 00 1a 0d 627261696e2e4576656e743a32"},
		"step":    {event(time.Unix(1, 0), 300, "", []byte{0xaa}), "09 000000000000f03f 10 ac02 2a 01 aa"},
		"scalar":  {appendScalar(nil, "a", 1.5), "0a 08 0a 01 61 15 0000c03f"},
		"text": {appendText(nil, "a", "b"), "0a 1c 0a 01 61" + // tag
			" 42 0b 08 07 12 04 12 02 08 01 42 01 62" + // tensor: dtype, shape, value
			" 4a 0a 0a 06 0a 04 74657874 20 02"}, // metadata: plugin, class
	} {
		if want := strings.ReplaceAll(c.want, " ", ""); hex.EncodeToString(c.got) != want {
			t.Errorf("%s: got %x, want %s", name, c.got, want)
		}
	}
}

// exportRun records a run of three steps and exports it.
func exportRun(t *testing.T) (path string) {
	t.Helper()
	l, err := record.Open(filepath.Join(t.TempDir(), "ledger.db"))
	must(t, err)
	defer l.Close()
	const id = "20261123-194946-7f3a"
	must(t, l.StartRun(record.Run{ID: id, Started: start, Spec: "seed = 1\n\n[model]\nlayers = 2\n", Status: record.Done, Parameters: 886272}))
	for n := range int64(3) {
		must(t, l.AppendStep(id, record.Step{Step: n + 1, World: 4, Loss: 4 / float64(n+1), Seconds: 0.5, WireBytes: 1 << 20, Time: start.Add(time.Duration(n) * time.Second)}))
	}
	must(t, l.AppendStep(id, record.Step{Step: 4, Loss: math.NaN(), Time: start.Add(3 * time.Second)}))
	must(t, l.AppendEval(id, record.Eval{Step: 3, Loss: 1.25, Time: start.Add(4 * time.Second)}))
	must(t, l.AppendLayer(id, record.Layer{Step: 3, Layer: 1, Correction: math.NaN(), RankQ: 2, RankR: math.NaN(), RankK: 3, Entropy: 0.5, FirstToken: 0.25, Time: start}))
	must(t, l.AppendEvent(id, record.Event{Sequence: 1, Time: start, Kind: "view", Text: "generation 1: all are ready"}))
	path, err = Export(l, "20261123", t.TempDir())
	must(t, err)
	return path
}

func TestExportIsWholeRecords(t *testing.T) {
	path := exportRun(t)
	if want := filepath.Join("20261123-194946-7f3a", "events.out.tfevents.1795463386.parallax"); !strings.HasSuffix(path, want) {
		t.Errorf("the file is %s", path)
	}
	data, err := os.ReadFile(path)
	must(t, err)
	records := 0
	for ; len(data) > 0; records++ {
		n := binary.LittleEndian.Uint64(data)
		if n > uint64(len(data)-16) || binary.LittleEndian.Uint32(data[12+n:]) != maskedCRC(data[12:12+n]) {
			t.Fatalf("record %d is damaged", records)
		}
		data = data[16+n:]
	}
	if records != 1+1+4+1+1 { // version, text, steps, evaluation, layer
		t.Errorf("%d records", records)
	}
}

func TestExportOfAnUnknownRun(t *testing.T) {
	l, err := record.Open(filepath.Join(t.TempDir(), "ledger.db"))
	must(t, err)
	defer l.Close()
	dir := t.TempDir()
	if _, err := Export(l, "x", dir); err == nil || !strings.Contains(err.Error(), "there is no run") {
		t.Errorf("got %v", err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) > 0 {
		t.Errorf("left %v", entries)
	}
}

const reader = `
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
a = EventAccumulator(sys.argv[1])
a.Reload()
tags = a.Tags()
scalars = {t: [[e.step, e.value, e.wall_time] for e in a.Scalars(t)] for t in tags["scalars"] if t.startswith("loss/train")}
texts = {t: a.Tensors(t)[0].tensor_proto.string_val[0].decode() for t in tags["tensors"] if "text" in a.SummaryMetadata(t).plugin_data.plugin_name}
print(json.dumps({"version": a.file_version, "tags": sorted(tags["scalars"]), "loss": scalars["loss/train"][:3], "nan": scalars["loss/train"][3][1] != scalars["loss/train"][3][1], "validation": [[e.step, e.value] for e in a.Scalars("loss/validation")], "layer": a.Scalars("attention_entropy/layer_01")[0].value, "text": texts}))
`

// TestTensorBoardReadsIt asks TensorBoard's own reader.
func TestTensorBoardReadsIt(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("there is no python3 here")
	}
	if exec.Command(python, "-c", "import tensorboard").Run() != nil {
		t.Skip("python3 has no package tensorboard here: pip install tensorboard 'setuptools<81'")
	}
	var problems bytes.Buffer
	cmd := exec.Command(python, "-c", reader, exportRun(t))
	cmd.Stderr = &problems
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, problems.String())
	}
	var got struct {
		Version    float64
		Tags       []string
		Loss       [][3]float64
		NaN        bool
		Validation [][2]float64
		Layer      float64
		Text       map[string]string
	}
	must(t, json.Unmarshal(out, &got))
	at := float64(start.UnixNano()) / 1e9
	if len(got.Loss) != 3 || got.Loss[0] != [3]float64{1, 4, at} || got.Loss[1] != [3]float64{2, 2, at + 1} || !got.NaN {
		t.Errorf("loss %v, NaN %v", got.Loss, got.NaN)
	}
	if got.Version != 2 || len(got.Tags) != 13+4 || len(got.Validation) != 1 || got.Validation[0] != [2]float64{3, 1.25} || got.Layer != 0.5 {
		t.Errorf("version %v, tags %v, validation %v", got.Version, got.Tags, got.Validation)
	}
	if !strings.Contains(got.Text["run"], "    layers = 2\n") || !strings.Contains(got.Text["events"], "generation 1: all are ready") {
		t.Errorf("text %q", got.Text)
	}
}
