#!/usr/bin/env bash
# inky 2.6.0 (the driver of Pimoroni's panels): its table of measured colours for the 7.3 inch Spectra 6
# panel, which it dithers with, has a yellow of 1.4 times the luminance of white. The white of such a panel
# reflects all that it can, and its yellow is the same particles less the blue: it can not be lighter.
#
# Why it matters here: presets of panels are relative to the panel's white, to which the eye adapts. Divided
# by this white, yellow leaves the cube of sRGB, and even as it stands light greys are dithered with yellow,
# as no other ink is as light. So this table is no preset of fastgrad; measure the panel instead.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install --no-deps inky==2.6.0
cat > "$folder/look.py" <<'EOF'
import ast
import importlib.metadata
import importlib.util
import sys

# Read, not imported: the module wants the pins of a Raspberry Pi.
folder = importlib.util.find_spec("inky").submodule_search_locations[0]
with open(f"{folder}/inky_e673.py", encoding="utf-8") as file:
    tree = ast.parse(file.read())
tables = {
    node.targets[0].id: ast.literal_eval(node.value)
    for node in tree.body
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    and node.targets[0].id.endswith("SATURATED_PALETTE")
}


def luminance(rgb):
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in (c / 255 for c in rgb)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


print("inky", importlib.metadata.version("inky"))
names = ("black", "white", "yellow", "red", "blue", "green")
inks = dict(zip(names, tables["SATURATED_PALETTE"]))
for name, rgb in inks.items():
    print(f"{name:6} {rgb} luminance {luminance(rgb):.3f}")
ratio = luminance(inks["yellow"]) / luminance(inks["white"])
print(f"yellow is {ratio:.2f} times as light as white")
sys.exit(0 if ratio > 1.2 else 1)
EOF
"$folder/venv/bin/python" "$folder/look.py"
