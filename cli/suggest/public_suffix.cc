#include "cli/suggest/public_suffix.h"

#include <algorithm>
#include <iterator>

namespace sallyport::cli {
namespace {

// Hosting services that give a name to each customer. What stands below them may do so, too: the
// regions of amazonaws.com.
constexpr std::string_view kServices[] = {
    "amazonaws.com",      "appspot.com",      "azureedge.net",
    "azurewebsites.net",  "blogspot.com",     "cloudapp.net",
    "cloudfront.net",     "core.windows.net", "digitaloceanspaces.com",
    "firebaseapp.com",    "fly.dev",          "github.io",
    "gitlab.io",          "herokuapp.com",    "netlify.app",
    "ngrok-free.app",     "ngrok.io",         "onrender.com",
    "ondigitalocean.app", "pages.dev",        "r2.dev",
    "railway.app",        "run.app",          "readthedocs.io",
    "supabase.co",        "surge.sh",         "trycloudflare.com",
    "vercel.app",         "web.app",          "workers.dev",
};

}  // namespace

bool MayBePublicSuffix(std::string_view name) {
  const size_t last = name.rfind('.');
  if (last == std::string_view::npos) return true;
  const std::string_view top = name.substr(last + 1);
  const std::string_view rest = name.substr(0, last);
  // co.uk, com.au, ac.jp.
  if (top.size() == 2 && rest.find('.') == std::string_view::npos && rest.size() <= 4) return true;
  return std::any_of(std::begin(kServices), std::end(kServices), [&](std::string_view service) {
    return name == service || (name.size() > service.size() && name.ends_with(service) &&
                               name[name.size() - service.size() - 1] == '.');
  });
}

}  // namespace sallyport::cli
