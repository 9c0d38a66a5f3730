package estimate

import "testing"

func TestAvailableIn(t *testing.T) {
	if got, known := availableIn("MemTotal:  100 kB\nMemAvailable:    42 kB\nBuffers: 3 kB\n"); got != 42<<10 || !known {
		t.Errorf("%d, %t", got, known)
	}
	for _, text := range []string{"", "MemTotal: 100 kB\n", "MemAvailable: many kB\n", "MemAvailable: -1 kB\n"} {
		if got, known := availableIn(text); known {
			t.Errorf("%q: %d", text, got)
		}
	}
}
