package render

// ladderSVG is the frame of LadderSVG's drawing. Blue and orange keep apart for every common
// kind of colour blindness (Okabe and Ito, "Color Universal Design"), and a breach is crossed.
const ladderSVG = `<svg xmlns="http://www.w3.org/2000/svg" width="{{.Width}}" height="{{.Height}}" viewBox="0 0 {{.Width}} {{.Height}}" role="img" aria-labelledby="title desc">
<title id="title">{{xml .Title}}: {{xml .Subtitle}}</title>
<desc id="desc">{{xml .Summary}} A bar for each rung, then a row for each guarantee with a cell for each rung.</desc>
<style>
text { font-family: system-ui, "Segoe UI", "Helvetica Neue", "DejaVu Sans", sans-serif; font-size: 12px; fill: #1c2530; }
.ground { fill: #ffffff; }
.words { font-size: 11px; }
.h1 { font-size: 22px; font-weight: 600; }
.soft, .count { fill: #55606e; }
.rung { font-size: 10px; text-anchor: middle; fill: #1c2530; }
.count { font-size: 9.5px; text-anchor: middle; }
.group { font-weight: 600; font-size: 13px; }
.id { font-family: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: 11px; }
.held { fill: #0b63a8; }
.breached { fill: #fbe2cf; }
.lost { fill: #d1590a; }
.rest { fill: #c9d0d8; }
.unsupported, .inconclusive, .unproven { fill: #eef1f4; }
.none { fill: none; }
.ink { fill: none; stroke-width: 1.6; stroke-linecap: round; stroke: #55606e; }
.ink.cross { stroke: #b04300; }
.ink.alarm { stroke: #7a1f7a; stroke-width: 2; }
.ink.loud { stroke: #ffffff; stroke-width: 2; }
@media (prefers-color-scheme: dark) {
text, .rung { fill: #e4e9ef; }
.ground { fill: #12171d; }
.soft, .count { fill: #9aa6b4; }
.held { fill: #4ea3e6; }
.breached { fill: #43291a; }
.lost { fill: #ff9d5c; }
.rest { fill: #4a5561; }
.unsupported, .inconclusive, .unproven { fill: #252d36; }
.none { fill: none; }
.ink { stroke: #9aa6b4; }
.ink.cross { stroke: #ff9d5c; }
.ink.alarm { stroke: #e59be5; }
.ink.loud { stroke: #12171d; }
}
</style>
<defs>
<symbol id="held" overflow="visible"><rect class="held" width="56" height="13" rx="2"/></symbol>
<symbol id="breached" overflow="visible"><rect class="breached" width="56" height="13" rx="2"/><path class="ink cross" d="M25 3.5l6 6m0-6l-6 6"/></symbol>
<symbol id="lost" overflow="visible"><rect class="lost" width="56" height="13" rx="2"/><path class="ink loud" d="M25 3.5l6 6m0-6l-6 6"/></symbol>
<symbol id="unsupported" overflow="visible"><rect class="unsupported" width="56" height="13" rx="2"/><path class="ink" d="M24 6.5h8"/></symbol>
<symbol id="inconclusive" overflow="visible"><rect class="inconclusive" width="56" height="13" rx="2"/><path class="ink alarm" d="M28 2.5v4.5m0 3.4v.1"/></symbol>
<symbol id="unproven" overflow="visible"><rect class="unproven" width="56" height="13" rx="2"/><circle class="ink" cx="28" cy="6.5" r="3.2"/></symbol>
<symbol id="none" overflow="visible"><rect class="none" width="56" height="13"/><path class="ink" d="M26.5 6.5h3"/></symbol>
</defs>
<rect class="ground" width="100%" height="100%"/>
<text class="h1" x="32" y="46">{{xml .Title}}</text>
<text class="soft" x="32" y="68">{{xml .Subtitle}}</text>
{{range .Bars}}<g><title>{{xml .Name}}: {{xml .Words}}</title><text x="32" y="{{.Y}}" dy="11">{{xml .Name}}</text>
{{- $y := .Y}}{{range .Segments}}<rect class="{{.Class}}" x="{{.X}}" y="{{$y}}" width="{{.Width}}" height="14"/>{{end -}}
<text class="soft words" x="{{.WordsX}}" y="{{.Y}}" dy="11">{{xml .Words}}</text></g>
{{end}}{{range .Legend}}<g><use href="#{{.Class}}" x="{{.X}}" y="{{.Y}}"/><text class="soft" x="{{.X}}" y="{{.Y}}" dx="66" dy="11">{{xml .Name}}</text></g>
{{end}}{{range .Rungs}}<text class="rung" x="{{.X}}" y="{{.Y}}">{{xml .Text}}</text>
{{end}}{{range .Groups}}<text class="group" x="{{.X}}" y="{{.Y}}">{{xml .Text}}</text>
{{end}}{{range .Counts}}<text class="count" x="{{.X}}" y="{{.Y}}">{{xml .Text}}</text>
{{end}}{{range .IDs}}<text class="id" x="{{.X}}" y="{{.Y}}">{{xml .Text}}<title>{{xml .Full}}</title></text>
{{end}}{{range .Cells}}<g><title>{{xml .Title}}</title><use href="#{{.Class}}" x="{{.X}}" y="{{.Y}}"/></g>
{{end}}</svg>
`
