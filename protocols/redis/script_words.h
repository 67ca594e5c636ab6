// Whether a script's text names anything whose outcome two equal servers may not share.
#pragma once

#include <string_view>

namespace crossfade::redis {

// True when a word of `script` names chance, the clock, an expiry that counts from now, or a reply
// in the order of a hash table. A word is letters, digits and "_"; any case. Says too much rather
// than too little; what a script puts together from pieces it cannot see.
//   cost   O(size), no allocation
bool hangs_on_chance(std::string_view script);

// The same of one argument, which a script may hand on as a command or an option.
bool is_word_of_chance(std::string_view word);

}  // namespace crossfade::redis
