package render

import (
	"fmt"
	"math"

	"cellwall/reports/record"
)

// benchDigits is how many digits a number is shown with: more would be noise.
const benchDigits = 3

// digits writes a number with benchDigits digits.
func digits(x float64) string {
	if x == 0 || math.IsNaN(x) || math.IsInf(x, 0) {
		return fmt.Sprint(x)
	}
	after := benchDigits - 1 - int(math.Floor(math.Log10(math.Abs(x))))
	if after > 9 || after < -9 { // nothing that is measured is so small, or so large
		return fmt.Sprintf("%.*g", benchDigits, x)
	}
	return fmt.Sprintf("%.*f", max(after, 0), x)
}

// scales are the names of a unit's multiples, largest first.
var scales = map[record.Unit][]struct {
	from float64
	name string
}{
	record.Seconds:   {{1, " s"}, {1e-3, " ms"}, {1e-6, " us"}, {0, " ns"}},
	record.Bytes:     {{1 << 30, " GiB"}, {1 << 20, " MiB"}, {1 << 10, " KiB"}, {0, " B"}},
	record.PerSecond: {{0, "/s"}},
	record.Ratio:     {{0, ""}},
}

// scaled is the multiple that a number is shown in.
func scaled(x float64, unit record.Unit) (by float64, name string) {
	for _, s := range scales[unit] {
		if math.Abs(x) >= s.from {
			by, name = s.from, s.name
			break
		}
	}
	switch {
	case by != 0:
		return by, name
	case unit == record.Seconds:
		return 1e-9, name
	}
	return 1, name
}

// amount writes a value in its unit: "2.81 ms".
func amount(x float64, unit record.Unit) string {
	by, name := scaled(x, unit)
	return digits(x/by) + name
}

// spread writes an interval in one unit: "2.79 to 2.90 ms".
func spread(low, high float64, unit record.Unit) string {
	by, name := scaled(high, unit)
	return digits(low/by) + " to " + digits(high/by) + name
}

// percent writes a share: "5 %", "0.3 %".
func percent(x float64) string {
	if x < 0.1 {
		return fmt.Sprintf("%.1f %%", 100*x)
	}
	return fmt.Sprintf("%.0f %%", 100*x)
}

// finds says the smallest change that could have been found.
func finds(x float64) string {
	if math.IsInf(x, 0) {
		return "-"
	}
	return percent(x)
}
