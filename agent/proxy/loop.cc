#include "agent/proxy/loop.h"

#include <string_view>

#include "agent/proxy/http/characters.h"

namespace sallyport::proxy {
namespace {

constexpr std::string_view kHeader = "cdn-loop";
constexpr std::string_view kElement = "sallyport";

}  // namespace

bool HasGoneRound(const Headers& headers) {
  int hops = 0;
  for (const Header& field : headers.fields()) {
    if (!EqualsIgnoreCase(field.name, kHeader)) continue;
    std::string_view list = field.value;
    while (!list.empty()) hops += EqualsIgnoreCase(TakeListElement(&list), kElement) ? 1 : 0;
  }
  return hops >= kMaxHops;
}

void AddHop(Headers* headers) { headers->Add(kHeader, kElement); }

}  // namespace sallyport::proxy
