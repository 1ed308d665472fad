//! A network between a client and a server that loses what a test wants it to lose.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// What happens to the next request.
pub(crate) enum Loss {
    /// It does not arrive.
    Request,
    /// It arrives, and the answer does not.
    Answer,
    /// The client loses its connection at once, and the request arrives when the test says so. The second channel tells
    /// that the server has answered it.
    Late(oneshot::Receiver<()>, oneshot::Sender<()>),
    /// It arrives, and nothing comes back; the connection stays.
    Silence,
}

/// A proxy to one server. It ends with the test.
pub(crate) struct Proxy {
    address: SocketAddr,
    next: Arc<Mutex<Option<Loss>>>,
    _tasks: JoinSet<()>,
}

impl Proxy {
    pub(crate) async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let next = Arc::new(Mutex::new(None));
        let losses = Arc::clone(&next);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let losses = Arc::clone(&losses);
                connections.spawn(async move {
                    let server = TcpStream::connect(server).await.unwrap();
                    let _gone = carry(client, server, losses).await;
                });
            }
        });
        Self { address, next, _tasks: tasks }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Loses the next request, once.
    pub(crate) fn lose(&self, loss: Loss) {
        *self.next.lock().unwrap() = Some(loss);
    }

    /// Whether the loss has not come to pass yet.
    pub(crate) fn waits(&self) -> bool {
        self.next.lock().unwrap().is_some()
    }
}

async fn carry(mut client: TcpStream, mut server: TcpStream, next: Arc<Mutex<Option<Loss>>>) -> std::io::Result<()> {
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut up, mut down) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        tokio::select! {
            read = client.read(&mut up) => {
                let request = &up[..read?];
                if request.is_empty() {
                    return Ok(());
                }
                // A request begins with the message that names its statement.
                let loss = if request[0] == b'P' { next.lock().unwrap().take() } else { None };
                match loss {
                    None => server.write_all(request).await?,
                    Some(Loss::Request) => return Ok(()),
                    Some(Loss::Answer) => {
                        server.write_all(request).await?;
                        let _lost = server.read(&mut down).await?;
                        return Ok(());
                    }
                    Some(Loss::Late(arrive, answered)) => {
                        drop(client);
                        let _told = arrive.await;
                        server.write_all(request).await?;
                        let _lost = server.read(&mut down).await?;
                        let _told = answered.send(());
                        return Ok(());
                    }
                    Some(Loss::Silence) => {
                        server.write_all(request).await?;
                        let _lost = server.read(&mut down).await?;
                        tokio::time::sleep(Duration::from_secs(600)).await;
                    }
                }
            }
            read = server.read(&mut down) => {
                let answer = &down[..read?];
                if answer.is_empty() {
                    return Ok(());
                }
                client.write_all(answer).await?;
            }
        }
    }
}
