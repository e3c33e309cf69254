//! A real site: nginx with a page and a large file.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use hezar_interop::harness::{Running, free_addresses};
use tempfile::TempDir;

use crate::world::make_certificates;

pub(super) const PAGE: &str = "a page that nobody but this site has\n";

/// The site. It ends when it is dropped.
pub(super) struct Site {
    pub(super) address: SocketAddr,
    folder: TempDir,
    _nginx: Running,
}

impl Site {
    pub(super) fn start(nginx: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        make_certificates(path);
        fs::create_dir(path.join("www")).unwrap();
        fs::write(path.join("www/index.html"), PAGE).unwrap();
        fs::write(path.join("www/large"), vec![b'x'; 4 << 20]).unwrap();
        let address = free_addresses(1)[0];
        let here = path.display();
        let text = format!(
            "daemon off;\nuser root;\nworker_processes 1;\npid {here}/nginx.pid;\nerror_log {here}/error.log;\nevents {{}}\n\
             http {{\n  access_log off;\n  server {{\n    listen {address} ssl http2;\n    root {here}/www;\n\
             ssl_certificate {here}/server.pem;\n    ssl_certificate_key {here}/server.key;\n\
             ssl_protocols TLSv1.2 TLSv1.3;\n  }}\n}}\n"
        );
        fs::write(path.join("nginx.conf"), text).unwrap();
        let config = path.join("nginx.conf");
        let arguments = ["-p", path.to_str().unwrap(), "-c", config.to_str().unwrap()];
        let mut running = Running::start(nginx, &arguments, path);
        running.accepts(address);
        Self { address, folder, _nginx: running }
    }

    /// The root that its certificate is signed by, PEM.
    pub(super) fn root(&self) -> PathBuf {
        self.folder.path().join("root.pem")
    }
}
