package cli

import "fmt"

// count is n things in words: "1 node", "2 nodes".
func count[N int | int64](n N, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
