package launch

import (
	"slices"
	"strings"
	"testing"
)

func TestFromEnvironment(t *testing.T) {
	nothing := Placement{Rank: -1, LocalRank: -1}
	for name, test := range map[string]struct {
		env  string // separated by spaces
		want Placement
	}{
		"nothing":       {"HOME=/root", nothing},
		"empty":         {"RANK= WORLD_SIZE= MASTER_ADDR=", nothing},
		"torchrun":      {"RANK=3 WORLD_SIZE=8 LOCAL_RANK=1 MASTER_ADDR=gpu01 MASTER_PORT=29500", Placement{3, 8, 1, "gpu01:29500", "rank-3"}},
		"default port":  {"MASTER_ADDR=10.0.0.1", Placement{-1, 0, -1, "10.0.0.1:7070", ""}},
		"IPv6":          {"MASTER_ADDR=fe80::1", Placement{-1, 0, -1, "[fe80::1]:7070", ""}},
		"slurm":         {"SLURM_PROCID=2 SLURM_NTASKS=4 SLURM_LOCALID=0 SLURM_JOB_NODELIST=gpu[01-03,07] SLURMD_NODENAME=gpu03", Placement{2, 4, 0, "gpu01:7070", "gpu03"}},
		"two on a host": {"SLURM_PROCID=2 SLURM_NTASKS=4 SLURM_LOCALID=0 SLURM_JOB_NODELIST=gpu[1-2] SLURMD_NODENAME=gpu2", Placement{2, 4, 0, "gpu1:7070", "gpu2-0"}},
		"both agree":    {"RANK=2 SLURM_PROCID=2 WORLD_SIZE=4 SLURM_NTASKS=4 MASTER_ADDR=head", Placement{2, 4, -1, "head:7070", "rank-2"}},
	} {
		got, err := FromEnvironment(strings.Fields(test.env))
		if err != nil || got != test.want {
			t.Errorf("%s: got %+v, %v; want %+v", name, got, err, test.want)
		}
	}
}

func TestFromEnvironmentRefuses(t *testing.T) {
	for env, want := range map[string]string{
		"RANK=1 WORLD_SIZE=4 SLURM_PROCID=2 SLURM_NTASKS=4": "RANK is 1, but SLURM_PROCID is 2",
		"RANK=1 WORLD_SIZE=4 SLURM_NTASKS=8":                "WORLD_SIZE is 4, but SLURM_NTASKS is 8",
		"RANK=1":                                            "set WORLD_SIZE",
		"WORLD_SIZE=4":                                      "set RANK",
		"RANK=4 WORLD_SIZE=4":                               "rank 4 of 4",
		"RANK=-1 WORLD_SIZE=4":                              `RANK is "-1"`,
		"RANK=0 WORLD_SIZE=9999999999":                      "WORLD_SIZE is",
		"RANK=0 WORLD_SIZE=2 LOCAL_RANK=2":                  "local rank 2",
		"MASTER_PORT=29500":                                 "MASTER_ADDR is not set",
		"MASTER_ADDR=a MASTER_PORT=0":                       "not a port",
		"SLURM_JOB_NODELIST=gpu[01-":                        "SLURM_JOB_NODELIST",
	} {
		if got, err := FromEnvironment(strings.Fields(env)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %+v, %v; want an error with %q", env, got, err, want)
		}
	}
}

func TestExpandHosts(t *testing.T) {
	for list, want := range map[string]string{
		"":                       "",
		"login1":                 "login1",
		"gpu[01-03,07]":          "gpu01 gpu02 gpu03 gpu07",
		"gpu[1-2],login1,cpu[9]": "gpu1 gpu2 login1 cpu9",
		"rack[1-2]n[08-10]":      "rack1n08 rack1n09 rack1n10 rack2n08 rack2n09 rack2n10",
		"n[098-101]-ib":          "n098-ib n099-ib n100-ib n101-ib",
	} {
		got, err := ExpandHosts(list)
		if err != nil || !slices.Equal(got, strings.Fields(want)) {
			t.Errorf("%q: got %v, %v; want %s", list, got, err, want)
		}
	}
	for _, bad := range []string{",", "a,", "a[", "a[]", "a[2-1]", "a[x]", "a]", "a[1-99999999]", "a[1-60000]b[1-60000]", "a b", "a[-1]", "[[1]]"} {
		if got, err := ExpandHosts(bad); err == nil {
			t.Errorf("%q was expanded to %d hosts", bad, len(got))
		}
	}
}

func FuzzExpandHosts(f *testing.F) {
	f.Add("gpu[01-03,07],login1")
	f.Add("rack[1-2]n[08-10]")
	f.Fuzz(func(t *testing.T, list string) {
		hosts, err := ExpandHosts(list)
		if err == nil && len(hosts) > maxHosts {
			t.Errorf("%d hosts", len(hosts))
		}
	})
}

func TestDeviceOfRank(t *testing.T) {
	for _, c := range []struct {
		rank                  int
		device, visible, want string
	}{
		{3, "cuda", "", "cuda:3"}, {3, "cuda", "0,1,2,3", "cuda:3"},
		{3, "cuda", "3", "cuda"}, // the launcher has given each its own
		{0, "cuda", "", "cuda:0"}, {-1, "cuda", "", "cuda"}, {3, "cuda:1", "", "cuda:1"}, {3, "cpu", "", "cpu"},
	} {
		if got := (Placement{LocalRank: c.rank}).Device(c.device, c.visible); got != c.want {
			t.Errorf("local rank %d with %s of %q: %s, want %s", c.rank, c.device, c.visible, got, c.want)
		}
	}
}
