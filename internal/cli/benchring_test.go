package cli_test

import (
	"encoding/json"
	"net"
	"strings"
	"testing"
)

// TestBenchRing measures little between real processes.
func TestBenchRing(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	for _, args := range [][]string{
		{"--nodes", "2,3", "--op", "sum-exact"},
		{"--nodes", "2", "--transport", "grpc", "--op", "sum-bf16"},
		{"--nodes", "2", "--tls"},
	} {
		c := p.run(with([]string{"bench", "ring", "--bytes", "400000", "--rounds", "2", "--json"}, args...)...).want(0)
		lines := strings.Split(strings.TrimSpace(c.stdout.String()), "\n")
		if rings := strings.Count(args[1], ",") + 1; len(lines) != rings {
			t.Fatalf("%v printed %q, want a line for each of %d rings", args, lines, rings)
		}
		for _, line := range lines {
			checkRing(t, line)
		}
		if c.stderr.Len() > 0 {
			t.Errorf("%v warned: %s", args, c.stderr.String())
		}
	}
	text := p.run("bench", "ring", "--nodes", "2", "--bytes", "400kB", "--rounds", "1").want(0).stdout.String()
	for _, word := range []string{"2 ranks, tcp, sum-f32 of 0.4 MB, 1 round\n", "all-reduce", "one way", "fetch", "CPU s/GB", "of the rate one way"} {
		if !strings.Contains(text, word) {
			t.Errorf("the table lacks %q:\n%s", word, text)
		}
	}
}

func checkRing(t *testing.T, line string) {
	t.Helper()
	type rate struct {
		Seconds   struct{ Median float64 }
		Algorithm float64 `json:"algorithm_gb_per_s"`
		Bus       float64 `json:"bus_gb_per_s"`
		CPU       float64 `json:"cpu_s_per_gb"`
	}
	var r struct {
		Ranks     int
		AllReduce rate `json:"all_reduce"`
		OneWay    rate `json:"one_way"`
		Fetch     rate
		Share     struct{ Median, Min float64 } `json:"fetch_of_one_way"`
	}
	if err := json.Unmarshal([]byte(line), &r); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	ratio := 2 * float64(r.Ranks-1) / float64(r.Ranks)
	if bus := r.AllReduce.Algorithm * ratio; r.AllReduce.Bus < 0.99*bus || r.AllReduce.Bus > 1.01*bus {
		t.Errorf("%s: the bus carries %v, want %v", line, r.AllReduce.Bus, bus)
	}
	for name, m := range map[string]rate{"one way": r.OneWay, "fetch": r.Fetch} {
		if rate := 0.0004 / m.Seconds.Median; m.Algorithm < 0.99*rate || m.Algorithm > 1.01*rate {
			t.Errorf("%s: %s %v GB/s, want %v", line, name, m.Algorithm, rate)
		}
	}
	if r.AllReduce.CPU <= 0 || r.OneWay.CPU <= 0 || r.Fetch.CPU <= 0 {
		t.Errorf("%s: no processor time", line)
	}
	if r.Share.Min <= 0 || r.Share.Min > r.Share.Median {
		t.Errorf("%s: of the rate one way, the fetch has %+v", line, r.Share)
	}
}

// TestBenchRingAmongHosts runs one command for each rank, as among hosts.
func TestBenchRingAmongHosts(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	addresses := []string{freeAddress(t), freeAddress(t)}
	args := func(rank string) []string {
		return with([]string{"bench", "ring", "--bytes", "4000", "--rounds", "1", "--rank", rank}, addresses...)
	}
	other := p.start(args("1")...)
	if said := p.run(args("0")...).want(0).stdout.String(); !strings.Contains(said, "2 ranks, tcp") {
		t.Errorf("rank 0 says %q", said)
	}
	if said := other.wait().want(0).stdout.String(); said != "" {
		t.Errorf("rank 1 says %q", said)
	}
}

func TestBenchRingRefuses(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	for want, args := range map[string][]string{
		"--op":              {"--op", "sum"},
		"--transport":       {"--transport", "udp"},
		"multiple of 4":     {"--bytes", "6"},
		"8MB or 8MiB":       {"--bytes", "8 lots"},
		"--rounds":          {"--rounds", "0"},
		"2 to 64 processes": {"--nodes", "1"},
		"say which of the":  {"127.0.0.1:7071", "127.0.0.1:7072"},
		"at least two":      {"--rank", "0", "127.0.0.1:7071"},
		"HOST:PORT":         {"--rank", "0", "nowhere", "127.0.0.1:7072"},
		"--insecure":        {"--rank", "0", "10.0.0.1:7071", "10.0.0.2:7071"},
		"--tls-ca":          {"--rank", "0", "--tls", "10.0.0.1:7071", "10.0.0.2:7071"},
	} {
		p.run(with([]string{"bench", "ring"}, args...)...).refuses(2, want)
	}
}

// freeAddress is one that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	return lis.Addr().String()
}
