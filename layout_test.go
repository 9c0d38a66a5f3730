// Package parallax_test holds the walls of the project: who may import whom.
package parallax_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

const module = "parallax"

// wall is what one package, or one subtree ("cmd/..."), may import beyond the
// standard library: packages of this project, and modules of others. The first
// wall that matches a package holds for it. Tests may import more.
type wall struct {
	pkg     string
	project string // space-separated packages, "..." for a subtree, "*" for all
	modules string // space-separated module prefixes
	why     string
}

const (
	grpcModules = "google.golang.org/grpc google.golang.org/protobuf"
	cliModules  = "github.com/spf13 golang.org/x/term"
)

var walls = []wall{
	{"kernels", "", "", "the device interface is what everything stands on, so it stands on nothing"},
	{"kernels/ref", "kernels", "", "the oracle must not share code with what it judges"},
	{"kernels/kerneltest", "kernels kernels/ref", "", "the suite knows the interface and the oracle, never a backend"},
	{"kernels/cpu", "kernels", "golang.org/x/sys", "a backend knows the interface and its machine"},
	{"kernels/cuda/...", "kernels", "gorgonia.org/cu", "a backend knows the interface and its machine"},
	{"proto/...", "", grpcModules, "the wire contract is generated"},
	{"internal/config", "", "github.com/pelletier/go-toml github.com/spf13", "the run spec is data; what it means is for others"},
	{"internal/safetensors", "", "github.com/google/renameio", "a file format knows no model"},
	{"shard", "", "", "which sample goes where is a pure function"},
	{"shard/tokenizer", "", "github.com/tiktoken-go/tokenizer", "text to tokens, nothing else"},
	{"shard/corpus", "shard shard/tokenizer", "github.com/edsrzf/mmap-go github.com/google/renameio", "data knows no model and no network"},
	{"shard/task", "shard", "", "data knows no model and no network"},
	{"collective", "collective/adder internal/median", "", "the ring's algorithms know no network: a Transport does"},
	{"collective/adder", "", "golang.org/x/sys/cpu", "a loop over numbers knows its instruction sets"},
	{"collective/mem", "collective", "", "the test transport is goroutines and channels"},
	{"collective/tcpring", "collective internal/direct", "", "frames on a byte stream; who may connect is decided above"},
	{"collective/grpcring", "collective collective/tcpring internal/direct internal/pause proto/...", grpcModules, "the only place where the ring meets gRPC"},
	{"internal/median", "", "", "the middle of some figures is arithmetic"},
	{"internal/pause", "", "", "waiting knows nothing"},
	{"internal/direct", "", grpcModules, "a connection that a gRPC stream has negotiated; what goes over it is for others"},
	{"internal/crc32c", "", "golang.org/x/sys/cpu", "a sum knows its instruction sets"},
	{"internal/transfer", "internal/crc32c internal/direct internal/pause proto/...", grpcModules, "fetching a state is bytes and steps; what they mean is for internal/train"},
	{"model", "kernels", "", "the model is written once, on the device interface; parallelism lives outside it"},
	{"optimizer", "kernels", "", "the optimizer knows no model and moves no bytes between ranks"},
	{"record", "", "modernc.org/sqlite", "the ledger can be read without the rest of the system"},
	{"internal/gossip", "", "github.com/hashicorp/memberlist", "membership knows addresses, not training"},
	{"internal/network", "internal/gossip", grpcModules, "the sockets that a simulation replaces, and nothing above them"},
	{"internal/certs", "", "", "certificates are the standard library's; a process that needs them knows more"},
	{"internal/trust", "internal/certs", grpcModules, "who may talk to whom is decided below every protocol"},
	{"internal/checkpoint", "internal/safetensors", "github.com/google/renameio", "a checkpoint is tensors and a manifest"},
	{"internal/train", "kernels model optimizer collective shard shard/corpus shard/task shard/tokenizer internal/config internal/checkpoint", "", "a training step never knows a concrete backend or a concrete network"},
	{"internal/trust/trusttest", "internal/certs internal/trust", "", "certificates for tests are made as for people"},
	{"internal/train/traintest", "internal/config", "", "what tests train is settings and a text"},
	{"internal/coord", "internal/config proto/... shard record internal/gossip internal/median internal/network internal/trust", grpcModules, "the coordinator decides; it touches no tensors"},
	{"internal/agent", "kernels shard/... collective collective/grpcring internal/train internal/config internal/checkpoint internal/direct internal/gossip internal/network internal/transfer internal/trust internal/version proto/...", grpcModules, "the node daemon knows the network, and any backend only by name"},
	{"launch", "", "", "launching knows commands and files, not what they do"},
	{"internal/bench", "kernels collective shard model internal/config internal/median internal/train", "", "a measurement trains for real, on any backend"},
	{"internal/sim/simnet", "", "github.com/hashicorp/memberlist", "a network in memory knows who is connected, not what is said"},
	{"internal/sim", "internal/agent internal/coord internal/config internal/train internal/sim/simnet record shard proto/...", "", "a simulated cluster is made of real parts, and no part knows of it"},
	{"internal/ringbench", "collective collective/grpcring internal/direct internal/transfer internal/trust", grpcModules, "a measurement of the ring uses what training uses, and trains nothing"},
	{"internal/doctor", "kernels proto/...", "google.golang.org/grpc", "an examination needs a device and addresses"},
	{"internal/verify/verifytest", "kernels kernels/ref internal/safetensors", "", "references for tests come from the oracle alone"},
	{"internal/verify", "kernels internal/safetensors", "", "checking kernels needs the device interface and a file format"},
	{"internal/inference", "kernels model shard shard/tokenizer internal/train internal/config internal/checkpoint", "", "using a trained model needs no cluster"},
	{"internal/estimate", "kernels model optimizer shard internal/config internal/train", "", "what a run will cost is arithmetic on its spec, and one measurement through the device interface"},
	{"internal/compare", "model record internal/config", "", "judging what was recorded needs records, and trains nothing"},
	{"internal/chart", "", "gonum.org/v1/plot", "drawing curves is the same whatever they show"},
	{"internal/version", "", "", "which build this is, for everybody"},
	{"internal/console", "proto/...", "golang.org/x/term", "what a person sees is made from the run's events alone"},
	{"internal/web", "internal/config internal/console proto/... record", "github.com/prometheus/client_golang", "the page is made from the run's events and the ledger, and can only read"},
	{"record/tensorboard", "record", "google.golang.org/protobuf/encoding/protowire", "a file format of others, made from the ledger alone"},
	{"record/parquet", "record", "github.com/parquet-go/parquet-go github.com/klauspost/compress/zstd", "a file format of others, made from the ledger alone"},
	{"internal/cli", "*", cliModules + " " + grpcModules, "the commands wire everything together"},
	{"cmd/...", "*", "", "wiring"},
}

type listed struct {
	ImportPath string
	Imports    []string
	Standard   bool
	Module     *struct{ Path string }
}

// TestImports fails for every import that a wall forbids, with the reason.
func TestImports(t *testing.T) {
	for _, p := range packages(t) {
		w, found := wallOf(p.ImportPath)
		if !found {
			t.Errorf("%s has no entry in layout_test.go: say what it may import, and why", p.ImportPath)
			continue
		}
		for _, imported := range p.Imports {
			if !w.allows(imported) {
				t.Errorf("%s imports %s, but %s", p.ImportPath, imported, w.why)
			}
		}
	}
}

// TestOnlyCommandsChooseTheGPU keeps the CUDA backend out of everything but the
// binaries, so that whatever a library does works without a GPU toolchain.
func TestOnlyCommandsChooseTheGPU(t *testing.T) {
	for _, p := range packages(t, "-tags", "cuda") {
		if strings.HasPrefix(p.ImportPath, module+"/cmd/") || strings.HasPrefix(p.ImportPath, module+"/kernels/cuda") {
			continue
		}
		if slices.Contains(p.Imports, module+"/kernels/cuda") {
			t.Errorf("%s imports kernels/cuda: only cmd/* may", p.ImportPath)
		}
	}
}

func packages(t *testing.T, flags ...string) []listed {
	t.Helper()
	out, err := exec.Command("go", append(append([]string{"list", "-e", "-json=ImportPath,Imports,Standard,Module"}, flags...), "./...")...).Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("go list: %v\n%s", err, exit.Stderr)
		}
		t.Fatalf("go list: %v", err)
	}
	var all []listed
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := dec.Decode(&p); err == io.EOF {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func wallOf(importPath string) (wall, bool) {
	rel := strings.TrimPrefix(strings.TrimPrefix(importPath, module), "/")
	for _, w := range walls {
		if rel == "" || matches(w.pkg, rel) {
			return w, true
		}
	}
	return wall{}, false
}

func (w wall) allows(imported string) bool {
	if rel, ours := strings.CutPrefix(imported, module+"/"); ours {
		return w.project == "*" || slices.ContainsFunc(strings.Fields(w.project), func(p string) bool { return matches(p, rel) })
	}
	if first, _, _ := strings.Cut(imported, "/"); !strings.Contains(first, ".") {
		return true // the standard library
	}
	return slices.ContainsFunc(strings.Fields(w.modules), func(m string) bool {
		return imported == m || strings.HasPrefix(imported, m+"/")
	})
}

func matches(pattern, pkg string) bool {
	if root, subtree := strings.CutSuffix(pattern, "/..."); subtree {
		return pkg == root || strings.HasPrefix(pkg, root+"/")
	}
	return path.Clean(pattern) == pkg
}
