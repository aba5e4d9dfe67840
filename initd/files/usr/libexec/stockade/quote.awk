# SPDX-License-Identifier: MIT
# Text into what stands between the quotes of a JSON string, for text that is too long for the shell to take apart.
# awks differ in what two backslashes mean in a replacement unless "&" follows, so a backslash comes alone.
NR > 1 { printf "\\n" }
{
	gsub(/["\\]/, "\\\\&")
	if (/[\001-\037]/) {
		for (i = 1; i < 32; i++)
			if (index($0, char = sprintf("%c", i)))
				gsub(char, i == 9 ? "&t" : i == 13 ? "&r" : "&u" sprintf("%04x", i))
		gsub(/[\001-\037]/, "\\")
	}
	printf "%s", $0
}
