// One lambda for each alternative of a variant; one that is forgotten does not compile.
//
//   std::visit(Visit{[](const Canary&) { … }, [](const BigBang&) { … }}, strategy);
#pragma once

namespace crossfade {

template <class... Visitors>
struct Visit : Visitors... {
  using Visitors::operator()...;
};
template <class... Visitors>
Visit(Visitors...) -> Visit<Visitors...>;

}  // namespace crossfade
