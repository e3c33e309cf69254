//! A name server on loopback for programs that look names up by themselves: it gives them the addresses that a dialer may connect to.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use hezar_core::{DomainName, Host, Target};
use hickory_resolver::proto::{
    op::{Message, OpCode, Query, ResponseCode},
    rr::{RData, Record, RecordType},
};
use tokio::{net::UdpSocket, sync::Semaphore, task::JoinSet};

use crate::{Attempt, Dialer};

/// The longest question that is read; DNS over UDP has 512 bytes for it (RFC 1035 §4.2.1).
const LONGEST: usize = 512;
/// Look-ups at a time; further questions wait in the socket's buffer.
const AT_A_TIME: usize = 256;
/// How long a look-up may take.
const LIMIT: Duration = Duration::from_secs(5);
/// How long an answer may be kept, in seconds: the addresses behind a name are checked again after that.
const TIME_TO_LIVE: u32 = 10;
/// Any port: an address is what is asked for.
const PORT: u16 = 443;

/// Answers questions for the addresses of names over UDP on 127.0.0.1.
#[derive(Debug)]
pub struct NameServer {
    socket: Arc<UdpSocket>,
    address: SocketAddr,
}

impl NameServer {
    /// Listens at a free port.
    ///
    /// # Errors
    /// No port is free.
    pub async fn bind() -> io::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = socket.local_addr()?;
        Ok(Self { socket: Arc::new(socket), address })
    }

    /// Where it is asked.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until it is dropped. `dialer_of` gives the dialer whose addresses a name has; names without one are refused.
    pub async fn run(&self, dialer_of: impl Fn(&DomainName) -> Option<Arc<dyn Dialer>>) {
        let (permits, mut answering) = (Arc::new(Semaphore::new(AT_A_TIME)), JoinSet::new());
        let mut buffer = [0; LONGEST];
        loop {
            // The semaphore is never closed.
            let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return };
            while answering.try_join_next().is_some() {}
            // An ICMP message about an answer before is no reason to stop.
            let Ok((length, client)) = self.socket.recv_from(&mut buffer).await else { continue };
            let Some(question) = buffer.get(..length).and_then(Question::read) else { continue };
            let dialer = question.name.as_ref().and_then(&dialer_of);
            let socket = Arc::clone(&self.socket);
            answering.spawn(async move {
                if let Ok(answer) = question.answer(dialer).await.to_vec() {
                    // A client that gets no answer asks again.
                    let _ = socket.send_to(&answer, client).await;
                }
                drop(permit);
            });
        }
    }
}

/// One query of a client.
struct Question {
    id: u16,
    query: Query,
    /// Absent when the query is for something that is no host name.
    name: Option<DomainName>,
}

impl Question {
    /// Reads a message with exactly one query; `None` for anything else.
    fn read(bytes: &[u8]) -> Option<Self> {
        let message = Message::from_vec(bytes).ok()?;
        let [query] = message.queries.as_slice() else { return None };
        let name = DomainName::new(&query.name().to_ascii()).ok();
        Some(Self { id: message.metadata.id, query: query.clone(), name })
    }

    async fn answer(self, dialer: Option<Arc<dyn Dialer>>) -> Message {
        let mut answer = Message::response(self.id, OpCode::Query);
        answer.metadata.recursion_desired = true;
        answer.metadata.recursion_available = true;
        match self.addresses(dialer).await {
            Ok(addresses) => {
                for data in addresses.into_iter().filter_map(|address| self.data(address)) {
                    answer.add_answer(Record::from_rdata(self.query.name().clone(), TIME_TO_LIVE, data));
                }
            }
            Err(code) => answer.metadata.response_code = code,
        }
        answer.add_query(self.query);
        answer
    }

    /// The addresses that the dialer may connect to.
    async fn addresses(&self, dialer: Option<Arc<dyn Dialer>>) -> Result<Vec<IpAddr>, ResponseCode> {
        let (Some(name), Some(dialer)) = (&self.name, dialer) else { return Err(ResponseCode::Refused) };
        let target = Target::new(Host::Name(name.clone()), PORT).map_err(|_| ResponseCode::FormErr)?;
        let network = dialer.local_network().ok_or(ResponseCode::Refused)?;
        let found = network.candidates(&target, &Attempt::within(LIMIT)).await;
        found.map(|found| found.iter().map(SocketAddr::ip).collect()).map_err(|_| ResponseCode::ServFail)
    }

    /// An address as an answer to this question; `None` for one of the other family.
    fn data(&self, address: IpAddr) -> Option<RData> {
        match (self.query.query_type(), address) {
            (RecordType::A, IpAddr::V4(address)) => Some(RData::A(address.into())),
            (RecordType::AAAA, IpAddr::V6(address)) => Some(RData::AAAA(address.into())),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use hickory_resolver::proto::rr::Name;

    use super::*;
    use crate::{AddressPolicy, Resolver, ResolverConfig, SystemDialer};

    /// Asks for the addresses of a name of one family.
    async fn ask(server: SocketAddr, name: &str, kind: RecordType) -> (ResponseCode, Vec<String>) {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let mut query = Message::query();
        query.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
        socket.send_to(&query.to_vec().unwrap(), server).await.unwrap();
        let mut buffer = [0; 512];
        let (length, _) = socket.recv_from(&mut buffer).await.unwrap();
        let answer = Message::from_vec(&buffer[..length]).unwrap();
        assert_eq!((answer.metadata.id, &answer.queries), (query.metadata.id, &query.queries));
        (answer.metadata.response_code, answer.answers.iter().map(|record| record.data.to_string()).collect())
    }

    #[tokio::test]
    async fn only_allowed_addresses_of_known_names_are_given() {
        let hosts = [
            ("both.example.test", vec!["10.0.0.1", "93.184.216.34", "2606:2800:220:1::1"]),
            ("inside.example.test", vec!["127.0.0.1"]),
        ];
        let host = |(name, addresses): (&str, Vec<&str>)| {
            (DomainName::new(name).unwrap(), addresses.iter().map(|address| address.parse().unwrap()).collect())
        };
        let config = ResolverConfig { servers: Vec::new(), static_hosts: hosts.map(host).into() };
        let public: Arc<dyn Dialer> = Arc::new(SystemDialer::new(Resolver::new(&config), AddressPolicy::PublicOnly));
        let server = NameServer::bind().await.unwrap();
        let address = server.address();
        let known = move |name: &DomainName| (name.as_str() != "unknown.example.test").then(|| Arc::clone(&public));
        let asking = async {
            // What is no question is passed over.
            let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            socket.send_to(b"garbage", address).await.unwrap();
            let (ok, addresses) = ask(address, "Both.Example.Test.", RecordType::A).await;
            assert_eq!((ok, addresses), (ResponseCode::NoError, vec!["93.184.216.34".to_owned()]));
            let (ok, addresses) = ask(address, "both.example.test.", RecordType::AAAA).await;
            assert_eq!((ok, addresses), (ResponseCode::NoError, vec!["2606:2800:220:1::1".to_owned()]));
            let (ok, addresses) = ask(address, "both.example.test.", RecordType::MX).await;
            assert_eq!((ok, addresses.len()), (ResponseCode::NoError, 0));
            assert_eq!(ask(address, "inside.example.test.", RecordType::A).await, (ResponseCode::ServFail, vec![]));
            assert_eq!(ask(address, "unknown.example.test.", RecordType::A).await, (ResponseCode::Refused, vec![]));
        };
        tokio::select! {
            () = server.run(known) => panic!("it has ended"),
            () = asking => {}
        }
    }
}
