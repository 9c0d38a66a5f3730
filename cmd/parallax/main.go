// Command parallax is the tool a person types: it trains, compares, inspects, and
// simulates a whole cluster on one machine.
package main

import (
	"os"

	"parallax/internal/cli"
	_ "parallax/kernels/cpu"
)

func main() { os.Exit(cli.Main(cli.Parallax())) }
