// In a mount namespace of the test's own, on a root file system such as a hostile image may have.

#include "agent/attach/oci/place_trust.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>

#include "agent/attach/trust.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace sallyport::agent {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

constexpr char kDebian[] = "/etc/ssl/certs/ca-certificates.crt";
constexpr char kFedora[] = "/etc/pki/tls/certs/ca-bundle.crt";
constexpr char kCa[] = "/etc/sallyport/certs/sallyport-ca.crt";
constexpr char kBundle[] = "/etc/sallyport/certs/bundle.crt";

class PlaceTrustTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    ASSERT_EQ(unshare(CLONE_NEWNS), 0) << "these tests mount: run them as root";
    ASSERT_EQ(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
  }
  void SetUp() override {
    std::string made = testing::TempDir() + "/image.XXXXXX";
    folder_ = mkdtemp(made.data());
    root_ = folder_ + "/root";
    fs::create_directories(root_ + "/etc");
    // World-readable whatever the umask; as runtimes do, a mount of its own.
    fs::permissions(root_, static_cast<fs::perms>(0755));
    ASSERT_EQ(mount(root_.c_str(), root_.c_str(), nullptr, MS_BIND, nullptr), 0);
  }
  void TearDown() override {
    umount2(root_.c_str(), MNT_DETACH);
    fs::remove_all(folder_);
  }

  static void WriteTo(const std::string& path, const std::string& content, mode_t mode = 0644) {
    fs::create_directories(fs::path(path).parent_path());
    std::ofstream(path) << content;
    chmod(path.c_str(), mode);
  }
  void Write(const std::string& path, const std::string& content, mode_t mode = 0644) {
    WriteTo(root_ + path, content, mode);
  }
  void Link(const std::string& path, const std::string& target) {
    fs::create_directories(fs::path(root_ + path).parent_path());
    fs::create_symlink(target, root_ + path);
  }
  std::string Read(const std::string& path) const {
    std::ifstream file(root_ + path, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), {});
  }
  absl::Status Place() const {
    absl::StatusOr<ContainerRoot> root = ContainerRoot::Open(root_);
    EXPECT_TRUE(root.ok()) << root.status();
    return PlaceTrust(*root, "ca\n");
  }
  std::string Error() const { return std::string(Place().message()); }
  bool IsWritable(const std::string& path) const {
    const UniqueFd file(open((root_ + path).c_str(), O_WRONLY | O_CLOEXEC));
    return file.valid();
  }

  std::string folder_;
  std::string root_;
};

TEST_F(PlaceTrustTest, AnImageWithoutRootsGetsTheCa) {
  ASSERT_TRUE(Place().ok()) << Error();
  EXPECT_EQ(Read(kCa), "ca\n");
  EXPECT_EQ(Read(kBundle), "ca\n");
  EXPECT_FALSE(IsWritable(kCa));
  EXPECT_FALSE(fs::exists(root_ + kDebian));
}

TEST_F(PlaceTrustTest, TheImagesRootsAreKeptAndTheCaAdded) {
  Write(kDebian, "root");
  ASSERT_TRUE(Place().ok()) << Error();
  EXPECT_EQ(Read(kBundle), "root\nca\n");
  EXPECT_EQ(Read(kDebian), "root\nca\n");
  EXPECT_FALSE(IsWritable(kDebian));
  // The image's own file is as it was, for the next container.
  umount2((root_ + kDebian).c_str(), MNT_DETACH);
  EXPECT_EQ(Read(kDebian), "root");
}

TEST_F(PlaceTrustTest, NotEvenRemountingMakesItWritable) {
  ASSERT_TRUE(Place().ok()) << Error();
  const std::string place = root_ + kTrustDirectory;
  ASSERT_EQ(mount(nullptr, place.c_str(), nullptr, MS_REMOUNT | MS_BIND, nullptr), 0);
  EXPECT_FALSE(IsWritable(kCa));
}

TEST_F(PlaceTrustTest, LinksBetweenThePlacesAreOneFile) {
  Write("/etc/ssl/certs/ca-certificates.crt", "root\n");
  Link("/etc/ssl/cert.pem", "certs/ca-certificates.crt");
  ASSERT_TRUE(Place().ok()) << Error();
  EXPECT_EQ(Read("/etc/ssl/cert.pem"), "root\nca\n");
  EXPECT_FALSE(fs::exists(root_ + "/etc/sallyport/certs/bundle-2.crt"));
}

TEST_F(PlaceTrustTest, TwoFilesKeepTheirOwnRoots) {
  Write(kDebian, "one\n");
  Write(kFedora, "two\n");
  ASSERT_TRUE(Place().ok()) << Error();
  EXPECT_EQ(Read(kDebian), "one\nca\n");
  EXPECT_EQ(Read(kFedora), "two\nca\n");
}

TEST_F(PlaceTrustTest, AnAbsoluteLinkStaysInTheImage) {
  WriteTo(folder_ + "/host-roots", "host\n");
  Write(folder_ + "/host-roots", "image\n");
  Link(kDebian, folder_ + "/host-roots");
  ASSERT_TRUE(Place().ok()) << Error();
  EXPECT_EQ(Read(kBundle), "image\nca\n");
  std::ifstream host(folder_ + "/host-roots");
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(host), {}), "host\n");
}

TEST_F(PlaceTrustTest, DotsDoNotLeadOut) {
  WriteTo(folder_ + "/secret", "secret\n");
  Link(kDebian, "../../../../secret");
  ASSERT_TRUE(Place().ok()) << Error();
  EXPECT_EQ(Read(kBundle), "ca\n");
}

TEST_F(PlaceTrustTest, WhatItsUsersCannotReadIsNotShown) {
  Write("/root/key", "secret\n", 0600);
  Link(kDebian, "/root/key");
  EXPECT_THAT(Error(), HasSubstr("not every user"));
  fs::remove(root_ + kDebian);
  Write("/locked/key", "secret\n");
  fs::permissions(root_ + "/locked", static_cast<fs::perms>(0700));
  Link(kDebian, "/locked/key");
  EXPECT_THAT(Error(), HasSubstr("not every user"));
  EXPECT_EQ(Read(kBundle), "");
}

TEST_F(PlaceTrustTest, WhatIsNoOrdinaryFileIsNotOpened) {
  fs::create_directories(root_ + "/etc/ssl/certs");
  ASSERT_EQ(mkfifo((root_ + kDebian).c_str(), 0644), 0);
  EXPECT_THAT(Error(), HasSubstr("ordinary file"));
  fs::remove(root_ + kDebian);
  ASSERT_EQ(mknod((root_ + kDebian).c_str(), S_IFCHR | 0644, makedev(1, 5)), 0);
  EXPECT_THAT(Error(), HasSubstr("ordinary file"));
}

TEST_F(PlaceTrustTest, AFileOfProcIsNotRead) {
  fs::create_directory(root_ + "/proc");
  ASSERT_EQ(mount("proc", (root_ + "/proc").c_str(), "proc", 0, nullptr), 0);
  Link(kDebian, "/proc/version");
  EXPECT_THAT(Error(), HasSubstr("/proc"));
  fs::remove(root_ + kDebian);
  // A magic link, to the root of the host.
  Link(kDebian, "/proc/1/root/etc/hostname");
  EXPECT_FALSE(Place().ok());
  EXPECT_EQ(Read(kBundle), "");
}

TEST_F(PlaceTrustTest, ALargeFileIsNoBundle) {
  Write(kDebian, "");
  ASSERT_EQ(truncate((root_ + kDebian).c_str(), 1L << 40), 0);
  EXPECT_THAT(Error(), HasSubstr("too large"));
}

TEST_F(PlaceTrustTest, ADirectoryInThePlaceOfABundleIsPassedOver) {
  fs::create_directories(root_ + kDebian);
  ASSERT_TRUE(Place().ok()) << Error();
  EXPECT_EQ(Read(kBundle), "ca\n");
}

TEST_F(PlaceTrustTest, TheFolderOfTheCaIsWhereItSays) {
  fs::create_directory(folder_ + "/outside");
  Link("/etc/sallyport", folder_ + "/outside");
  EXPECT_THAT(Error(), HasSubstr("has a link or a file in its way"));
  fs::remove(root_ + "/etc/sallyport");
  Write("/etc/sallyport", "");
  EXPECT_THAT(Error(), HasSubstr("has a link or a file in its way"));
  EXPECT_TRUE(fs::is_empty(folder_ + "/outside"));
}

TEST_F(PlaceTrustTest, AReadOnlyImageHasToHaveTheFolder) {
  ASSERT_EQ(mount(nullptr, root_.c_str(), nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY, nullptr), 0);
  EXPECT_THAT(Error(), HasSubstr("is read-only and has no directory /etc/sallyport/certs"));
  ASSERT_EQ(mount(nullptr, root_.c_str(), nullptr, MS_REMOUNT | MS_BIND, nullptr), 0);
  fs::create_directories(root_ + kTrustDirectory);
  ASSERT_EQ(mount(nullptr, root_.c_str(), nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY, nullptr), 0);
  EXPECT_TRUE(Place().ok()) << Error();
  EXPECT_EQ(Read(kCa), "ca\n");
}

TEST_F(PlaceTrustTest, AResolvConfIsMadeWhereThereIsNone) {
  const ContainerRoot root = ContainerRoot::Open(root_).value();
  PlaceResolvConf(root);
  EXPECT_THAT(Read("/etc/resolv.conf"), HasSubstr("nameserver 192.0.2.53\n"));
  Write("/etc/resolv.conf", "mine");
  PlaceResolvConf(root);
  EXPECT_EQ(Read("/etc/resolv.conf"), "mine");
  // One that leads nowhere stays so.
  fs::remove(root_ + "/etc/resolv.conf");
  Link("/etc/resolv.conf", folder_ + "/outside");
  PlaceResolvConf(root);
  EXPECT_FALSE(fs::exists(folder_ + "/outside"));
}

TEST_F(PlaceTrustTest, WhatTheHostWouldSeeIsNotMounted) {
  ASSERT_EQ(mount(nullptr, root_.c_str(), nullptr, MS_SHARED, nullptr), 0);
  EXPECT_THAT(Error(), HasSubstr("propagation"));
  ASSERT_EQ(mount(nullptr, root_.c_str(), nullptr, MS_SLAVE, nullptr), 0);
  EXPECT_TRUE(Place().ok()) << Error();
}

}  // namespace
}  // namespace sallyport::agent
